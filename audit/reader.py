"""Reading the audit log: newest first, by keyset, from one table.

Nothing here counts or skips: a page is the next ``limit`` rows after a position, found by an
index, so that page one thousand costs what page one costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.core import signing

from techno.database.current import store
from techno.governance.status import Status

LIMIT_DEFAULT = 50
LIMIT_MOST = 1000
_CURSOR_SALT = "audit.cursor"


class BadCursor(ValueError):
    """The cursor was not made by this service."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to read. Empty texts and ``None`` mean no restriction; all others must hold at once.

    ``since`` is inclusive, ``until`` exclusive. ``cursor`` continues a page.
    """

    limit: int = LIMIT_DEFAULT
    cursor: str = ""
    status: str = ""
    reason_code: str = ""
    action: str = ""
    session_id: str = ""
    user_ip: str = ""
    trace_id: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of entries, newest first, and the cursor of the next page (``None`` at the end)."""

    entries: list[dict[str, Any]]
    next: str | None


_COLUMNS = """to_char(t."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    t.action, t.status, t.execution_id, t.trace_id::text, t.reason_codes::text, t.session_id,
    t.user_ip, t.http_status, t.duration_ms, t.key_prefix"""

_EQUAL = {
    "status": "t.status",
    "action": "t.action",
    "session_id": "t.session_id",
    "user_ip": "t.user_ip",
    "key": "t.key_prefix",
}


def encode_cursor(timestamp: str, trace_id: str) -> str:
    """Return the signed, opaque form of a position in the log; safe in a URL as it is."""
    position = f"{timestamp}~{trace_id}".encode("ascii")
    return signing.Signer(salt=_CURSOR_SALT, sep=".").sign(signing.b64_encode(position).decode())


def decode_cursor(cursor: str) -> tuple[str, str]:
    """Return the position that ``cursor`` stands for. Raises :class:`BadCursor`."""
    try:
        encoded = signing.Signer(salt=_CURSOR_SALT, sep=".").unsign(cursor)
        timestamp, trace_id = signing.b64_decode(encoded.encode("ascii")).decode("ascii").split("~")
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor("cursor must be one that this service returned") from error
    return timestamp, trace_id


def fetch_logs(query: AuditQuery) -> Page:
    """Return one page. Raises :class:`BadCursor` and ``StoreUnavailable``."""
    sql, parameters = _select(query)
    rows = store().reads.rows(sql, parameters)
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    following = encode_cursor(rows[-1][11], rows[-1][4]) if more else None
    return Page([_entry(row) for row in rows], following)


def _select(query: AuditQuery) -> tuple[str, list[Any]]:
    """Build the one statement that serves ``query``.

    The position and the time bounds are put on the table that drives the order: on the codes
    when a reason code is asked for, on the traces otherwise (a bound on only one side of a join
    was seen to cost seconds in the middle of ten million rows).
    """
    driver = "c" if query.reason_code else "t"
    where: list[str] = []
    parameters: list[Any] = []

    def require(condition: str, *values: Any) -> None:
        where.append(condition)
        parameters.extend(values)

    if query.reason_code:
        require("c.code = %s", query.reason_code)
    for name, column in _EQUAL.items():
        value = getattr(query, name)
        if value:
            require(f"{column} = %s", value)
    # The partial indexes need to see that the empty text is not asked for.
    if query.session_id:
        require("t.session_id <> ''")
    if query.key:
        require("t.key_prefix <> ''")
    if query.trace_id:
        require("t.trace_id = %s::uuid", query.trace_id)
    if query.since is not None:
        require(f'{driver}."timestamp" >= %s', query.since)
    if query.until is not None:
        require(f'{driver}."timestamp" < %s', query.until)
    if query.cursor:
        timestamp, trace_id = decode_cursor(query.cursor)
        require(
            f'({driver}."timestamp", {driver}.trace_id) < (%s::timestamptz, %s::uuid)',
            timestamp,
            trace_id,
        )
    source = "audit_traces t"
    if query.reason_code:
        source = "audit_trace_codes c JOIN audit_traces t ON t.trace_id = c.trace_id"
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    parameters.append(query.limit + 1)
    return (
        f'SELECT {_COLUMNS}, t."timestamp"::text FROM {source} {condition} '  # noqa: S608
        f'ORDER BY {driver}."timestamp" DESC, {driver}.trace_id DESC LIMIT %s',
        parameters,
    )


def _entry(row: tuple[Any, ...]) -> dict[str, Any]:
    """Return a row as the contract's audit entry."""
    codes = row[5]
    return {
        "timestamp": row[0],
        "action": row[1],
        "result": Status.of(row[2]).result,
        "state": row[2],
        "execution_id": row[3],
        "trace_id": row[4],
        "reason_codes": [] if codes == "[]" else orjson.loads(codes),
        "session_id": row[6],
        "user_ip": row[7],
        "http_status": row[8],
        "duration_ms": row[9],
        "key": row[10],
    }
