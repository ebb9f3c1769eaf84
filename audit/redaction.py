"""Erasing personal values, provably: the leaf stays, the values and the salt go.

What a leaf holds of an address, a session or an agent is a commitment. Erasing the value and the
salt leaves the commitment, which proves nothing about whom it was; the row still hashes to its
leaf, so old checkpoints and proofs go on to hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb, set_json_loads

from audit.canonical import redacted
from audit.rows import canonical_row, loads
from audit.sql import statement

BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rows to erase from: those before a moment, and of one session or address if given."""

    before: datetime
    session_id: str = ""
    user_ip: str = ""


def count_without_salt(connection: psycopg.Connection[Any], choice: Choice) -> int:
    """Return how many chosen rows another writer made: their leaves hold the values plainly."""
    row = connection.execute(statement("count_without_salt"), _values(choice)).fetchone()
    return int(row[0]) if row else 0


def redact(connection: psycopg.Connection[Any], choice: Choice, *, recorded_in: str) -> int:
    """Erase the personal values of all chosen, sealed rows; return how many rows those were.

    ``recorded_in`` is the audit row that tells of this erasure; it is recorded before. Needs the
    owner's role. Works in batches, each a transaction of its own; a second call goes on where
    the first one ended. Raises ``psycopg.Error``.
    """
    set_json_loads(loads, connection)
    total = 0
    while done := _redact_batch(connection, choice, recorded_in):
        total += done
    return total


def _values(choice: Choice) -> dict[str, Any]:
    return {
        "before": choice.before,
        "session_id": choice.session_id,
        "user_ip": choice.user_ip,
        "limit": BATCH_ROWS,
    }


def _redact_batch(connection: psycopg.Connection[Any], choice: Choice, recorded_in: str) -> int:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('techno.redaction', 'on', true)")
        rows = cursor.execute(statement("redactable_rows"), _values(choice)).fetchall()
        ids = [columns[21] for columns in rows]
        if not ids:
            return 0
        cursor.executemany(
            "INSERT INTO audit_redactions (trace_id, commitments, recorded_in) VALUES (%s, %s, %s)",
            [
                (columns[21], Jsonb(redacted(canonical_row(columns))["commitments"]), recorded_in)
                for columns in rows
            ],
        )
        cursor.execute(
            "UPDATE audit_logs SET session_id = '', user_ip = '' WHERE trace_id = ANY (%s)", [ids]
        )
        cursor.execute(statement("redact_codes"), [ids])
        cursor.execute(
            "UPDATE audit_traces SET session_id = '', user_ip = '', user_agent = '', salt = '' "
            "WHERE trace_id = ANY (%s)",
            [ids],
        )
    return len(ids)
