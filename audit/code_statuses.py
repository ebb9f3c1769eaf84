"""Tells the database what the reason codes stand for, for rows that come without a status."""

from __future__ import annotations

from typing import Any

from techno.governance.reason_codes import STATUS_OF_INFORMATIVE_CODE, ReasonCode
from techno.governance.status import SEVERITY

_UPSERT = """
INSERT INTO audit_code_statuses (code, status, severity) VALUES (%s, %s, %s)
ON CONFLICT (code) DO UPDATE SET status = excluded.status, severity = excluded.severity
"""


def write_code_statuses(cursor: Any) -> None:
    """Bring ``audit_code_statuses`` in line with the registry. Needs the owner's role."""
    for code in ReasonCode:
        status = code.value.status or STATUS_OF_INFORMATIVE_CODE
        cursor.execute(_UPSERT, [code.code, status.value, SEVERITY[status]])
