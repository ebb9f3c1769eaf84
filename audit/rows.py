"""From the tables' columns to the row that the canonical form takes.

The leaf covers what ``audit_logs`` and the companion hold. A companion that the database made
for another writer's row says nothing that the row does not, so it is left out of the leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from audit.canonical import reason_codes_from_jsonb

EXTERNAL = "external"
#: Where the companion's columns begin in ``take_unsealed.sql`` and its kin.
_COMPANION_FIELDS = (
    "status",
    "action",
    "method",
    "path",
    "http_status",
    "duration_ms",
    "principal_kind",
    "principal_label",
    "key_prefix",
    "execution_id",
    "message",
    "host",
    "user_agent",
    "detail",
)


def canonical_row(columns: Sequence[Any]) -> dict[str, Any]:
    """Return the row that ``audit.canonical`` takes, from the columns of ``take_unsealed.sql``.

    Identity, time and codes come as PostgreSQL's text: that is faster, and nothing that another
    writer stored (an infinite time, codes that are no list) can stop the sealer.
    """
    companion: dict[str, Any] | None = None
    salt = None
    commitments = columns[20]
    if columns[5] is not None and columns[11] != EXTERNAL:
        companion = dict(zip(_COMPANION_FIELDS, columns[5:19], strict=True))
        salt = columns[19] or None
        if commitments is not None:
            companion["user_agent"] = None
    return {
        "trace_id": columns[0],
        "timestamp": columns[1],
        "reason_codes": [] if columns[2] == "[]" else _codes(columns[2]),
        "session_id": columns[3] if commitments is None else None,
        "user_ip": columns[4] if commitments is None else None,
        "companion": companion,
        "salt": salt if commitments is None else None,
        "commitments": commitments,
    }


def _codes(text: str | None) -> list[str] | str | None:
    """Return the codes; another writer may have put anything there, or nothing."""
    return None if text is None else reason_codes_from_jsonb(text)


def loads(data: bytes | str) -> Any:
    """Parse a jsonb column."""
    return orjson.loads(data)
