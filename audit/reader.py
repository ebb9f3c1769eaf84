"""Reading the audit log: newest first, by keyset, from one table.

Nothing here counts or skips: a page is the next ``limit`` rows after a position, found by an
index, so that page one thousand costs what page one costs.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.core import signing

from audit.calendar import within_calendar
from techno.database.current import store
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

LIMIT_DEFAULT = 50
LIMIT_MOST = 1000
_CURSOR_SALT = "audit.cursor"


class BadCursor(ValueError):
    """The cursor was not made by this service."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to read. Empty texts and ``None`` mean no restriction; all others must hold at once.

    ``reason_code`` may be several codes with commas between them: rows that hold any of them, or
    all with ``all_codes``. ``since`` is inclusive, ``until`` exclusive. ``cursor`` continues a
    page, towards older rows (``Page.next``) or newer ones (``Page.previous``). ``wait_s`` is for
    ``audit.tail``: follow the log instead of paging through it.
    """

    limit: int = LIMIT_DEFAULT
    cursor: str = ""
    status: str = ""
    reason_code: str = ""
    all_codes: bool = False
    action: str = ""
    session_id: str = ""
    user_ip: str = ""
    trace_id: str = ""
    execution_id: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None
    wait_s: int | None = None


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


_TIME = within_calendar('t."timestamp"')
COLUMNS = f"""to_char({_TIME} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    t.action, t.status, t.execution_id, t.trace_id::text, t.reason_codes::text, t.session_id,
    t.user_ip, t.http_status, t.duration_ms, t.key_prefix"""

_EQUAL = {
    "status": "t.status",
    "action": "t.action",
    "session_id": "t.session_id",
    "user_ip": "t.user_ip",
    "execution_id": "t.execution_id",
    "key": "t.key_prefix",
}


class Direction(enum.StrEnum):
    """Which way a cursor leads."""

    OLDER = "o"
    NEWER = "n"


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two rows of the log, and which way to read from it."""

    timestamp: str
    trace_id: str
    direction: Direction = Direction.OLDER


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
    rows = (ask or store().list_reads.rows)(sql, parameters)
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


def select(query: AuditQuery, start: Position | None) -> tuple[str, list[Any]]:
    """Build the one statement that serves ``query`` from ``start`` on.

    The position and the time bounds are put on every table that takes part: a bound on only one
    side of the join was seen to cost seconds in the middle of ten million rows.
    """
    codes = codes_of(query)
    equal, values = _equal(query)
    newer = start is not None and start.direction is Direction.NEWER
    order = "ASC" if newer else "DESC"
    where: list[str] = []
    parameters: list[Any] = []

    def require(condition: str, *values: Any) -> None:
        where.append(condition)
        parameters.extend(values)

    driver, source = "t", "audit_traces t"
    if len(codes) == 1 or (codes and query.all_codes):
        driver = "c"
        source = "audit_trace_codes c JOIN audit_traces t ON t.trace_id = c.trace_id"
        require("c.code = %s", codes[0])
    elif codes and not equal:
        driver = "c"
        source = f"({_NEWEST_OF_EACH_CODE}) c JOIN audit_traces t ON t.trace_id = c.trace_id"
        bounds, bound_values = _bounds("k", query, start)
        source = source.format(bounds="".join(f" AND {bound}" for bound in bounds), order=order)
        parameters += [codes, *bound_values, query.limit + 1]
    if len(codes) > 1:
        require(f"t.reason_codes ?{'&' if query.all_codes else '|'} %s::text[]", codes)
    where += equal
    parameters += values
    for table in dict.fromkeys((driver, "t")):
        bounds, bound_values = _bounds(table, query, start)
        where += bounds
        parameters += bound_values
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    parameters.append(query.limit + 1)
    return (
        f'SELECT {COLUMNS}, t."timestamp"::text FROM {source} {condition} '  # noqa: S608
        f'ORDER BY {driver}."timestamp" {order}, {driver}.trace_id {order} LIMIT %s',
        parameters,
    )


#: Of each of several codes no more rows are needed than the page has.
_NEWEST_OF_EACH_CODE = """
    SELECT DISTINCT m."timestamp", m.trace_id
    FROM unnest(%s::text[]) AS wanted(code) CROSS JOIN LATERAL (
        SELECT k."timestamp", k.trace_id FROM audit_trace_codes k
        WHERE k.code = wanted.code{bounds}
        ORDER BY k."timestamp" {order}, k.trace_id {order} LIMIT %s) AS m"""


def _bounds(table: str, query: AuditQuery, start: Position | None) -> tuple[list[str], list[Any]]:
    """Return the conditions on time and position for one table, and their values."""
    conditions: list[str] = []
    values: list[Any] = []
    if query.since is not None:
        conditions.append(f'{table}."timestamp" >= %s')
        values.append(query.since)
    if query.until is not None:
        conditions.append(f'{table}."timestamp" < %s')
        values.append(query.until)
    if start is not None:
        than = ">" if start.direction is Direction.NEWER else "<"
        conditions.append(
            f'({table}."timestamp", {table}.trace_id) {than} (%s::timestamptz, %s::uuid)'
        )
        values += [start.timestamp, start.trace_id]
    return conditions, values


_PARTLY_INDEXED = frozenset({"t.session_id", "t.key_prefix"})


def codes_of(query: AuditQuery) -> list[str]:
    """Return the reason codes that are asked for."""
    return [code for code in query.reason_code.split(",") if code]


def _equal(query: AuditQuery) -> tuple[list[str], list[Any]]:
    """Return the conditions on the companion's own columns, and their values."""
    conditions: list[str] = []
    values: list[Any] = []
    for name, column in _EQUAL.items():
        value = getattr(query, name)
        if value:
            conditions.append(f"{column} = %s")
            values.append(value)
            if column in _PARTLY_INDEXED:  # the index must see that the empty text is not meant
                conditions.append(f"{column} <> ''")
    if query.trace_id:
        conditions.append("t.trace_id = %s::uuid")
        values.append(query.trace_id)
    return conditions, values


def equal_conditions(query: AuditQuery) -> tuple[list[str], list[Any]]:
    """Return every condition of ``query`` but time and position, on the table ``t``."""
    conditions, values = _equal(query)
    codes = codes_of(query)
    if codes:
        conditions.append(f"t.reason_codes ?{'&' if query.all_codes else '|'} %s::text[]")
        values.append(codes)
    return conditions, values


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
