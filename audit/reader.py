"""Reading the audit log: newest first, by keyset, from one table.

Nothing here counts or skips: a page is the next ``limit`` rows after a position, found by an
index, so that page one thousand costs what page one costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.core import signing

from audit.selection import (
    COLUMNS,
    LIMIT_DEFAULT,
    LIMIT_MOST,
    AuditQuery,
    Direction,
    Position,
    select,
)
from techno.database.current import store
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

_CURSOR_SALT = "audit.cursor"


__all__ = [
    "LIMIT_DEFAULT",
    "LIMIT_MOST",
    "Ask",
    "AuditQuery",
    "BadCursor",
    "Page",
    "decode_cursor",
    "encode_cursor",
    "entry",
    "fetch_logs",
    "fetch_unapproved",
]


class BadCursor(ValueError):
    """The cursor was not made by this service."""


#: How a statement with its parameters is put to the database.
Ask = Callable[[str, list[Any]], list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of entries, newest first, and the cursors of what is next to it.

    ``next`` leads to older rows and is ``None`` at the end. ``previous`` leads to newer rows; it
    stands whenever there is a position, since newer rows can always come.
    """

    entries: list[dict[str, Any]]
    next: str | None
    previous: str | None = None


def encode_cursor(timestamp: str, trace_id: str, direction: Direction = Direction.OLDER) -> str:
    """Return the signed, opaque form of a position in the log; safe in a URL as it is."""
    position = f"{timestamp}~{trace_id}~{direction.value}".encode("ascii")
    return signing.Signer(salt=_CURSOR_SALT, sep=".").sign(signing.b64_encode(position).decode())


def decode_cursor(cursor: str) -> Position:
    """Return the position that ``cursor`` stands for. Raises :class:`BadCursor`."""
    try:
        encoded = signing.Signer(salt=_CURSOR_SALT, sep=".").unsign(cursor)
        decoded = signing.b64_decode(encoded.encode("ascii")).decode("ascii")
        timestamp, trace_id, direction = decoded.split("~")
        return Position(timestamp, trace_id, Direction(direction))
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor("cursor must be one that this service returned") from error


def fetch_logs(query: AuditQuery, *, ask: Ask | None = None) -> Page:
    """Return one page. Raises :class:`BadCursor` and ``StoreUnavailable``.

    ``ask`` puts the statement to the database; without it the pool of the hot path does, whose
    deadline is short. Callers that may wait bring their own.
    """
    start = decode_cursor(query.cursor) if query.cursor else None
    sql, parameters = select(query, start)
    rows = (ask or store().ordered_reads.rows)(sql, parameters)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    if start is not None and start.direction is Direction.NEWER:
        rows.reverse()
        more = True  # what the caller came from is older
    if not rows:
        if start is None:
            return Page([], None)
        here = (start.timestamp, start.trace_id)
        older = start.direction is Direction.NEWER
        return Page([], encode_cursor(*here) if older else None, encode_cursor(*here, _NEWER))
    return Page(
        [entry(row) for row in rows],
        encode_cursor(rows[-1][11], rows[-1][4]) if more else None,
        encode_cursor(rows[0][11], rows[0][4], _NEWER),
    )


_NEWER = Direction.NEWER


def fetch_unapproved(*, since: datetime, limit: int, ask: Ask) -> list[dict[str, Any]]:
    """Return the newest ``limit`` entries since a moment whose status is not ``APPROVED``.

    Each status is one short range of an index; together they are no more than a few rows.
    """
    statuses = [status.value for status in Status if status is not Status.APPROVED]
    sql = f"""
        SELECT {COLUMNS} FROM unnest(%s::text[]) AS wanted(status) CROSS JOIN LATERAL (
            SELECT * FROM audit_traces a
            WHERE a.status = wanted.status AND a."timestamp" >= %s
            ORDER BY a."timestamp" DESC, a.trace_id DESC LIMIT %s) AS t
        ORDER BY t."timestamp" DESC, t.trace_id DESC LIMIT %s"""  # noqa: S608 - no value is in it
    return [entry(row) for row in ask(sql, [statuses, since, limit, limit])]


def entry(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a row as the contract's audit entry."""
    codes = row[5]
    return {
        "timestamp": row[0],
        "action": row[1],
        "result": Status.of(row[2]).result,
        "state": row[2],
        "execution_id": row[3],
        "trace_id": row[4],
        "reason_codes": [] if codes == "[]" else _texts(orjson.loads(codes)),
        "session_id": row[6],
        "user_ip": row[7],
        "http_status": row[8],
        "duration_ms": row[9],
        "key": row[10],
    }


def _texts(codes: list[Any]) -> list[str]:
    """Return reason codes as the contract has them: another writer's list can hold anything."""
    return [code if isinstance(code, str) else ReasonCode.E_UNKNOWN.code for code in codes]
