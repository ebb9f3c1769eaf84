"""The one statement that serves a question about the log, whatever is asked and from wherever.

Every list is the next few rows of one range of one index, or of a few ranges laid together. So
each bound of time and place is put on the very table that is walked, and of two bounds at the
same end only the narrower one: PostgreSQL starts at whichever it meets first, which was seen to
cost a walk through half of ten million rows.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

from audit.odd_times import within_calendar

LIMIT_DEFAULT = 50
LIMIT_MOST = 1000


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


_TIME = within_calendar('t."timestamp"')
#: What ``audit.reader.entry`` takes.
COLUMNS = f"""to_char({_TIME} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    t.action, t.status, t.execution_id, t.trace_id::text, t.reason_codes::text, t.session_id,
    t.user_ip, t.http_status, t.duration_ms, t.key_prefix"""

#: Filters by the column that they ask; these stand in the entries of reason codes too.
_SHARED = {
    "status": "status",
    "action": "action",
    "session_id": "session_id",
    "user_ip": "user_ip",
    "key": "key_prefix",
}
#: Indexes leave out the rows that say nothing here, and must see that those are not meant.
_PARTLY_INDEXED = frozenset({"session_id", "key_prefix"})
APPROVED = "APPROVED"


class _Conditions:
    """Conditions of a statement and their values, in the same order."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.values: list[Any] = []

    def require(self, condition: str, *values: Any) -> None:
        self._texts.append(condition)
        self.values.extend(values)

    @property
    def where(self) -> str:
        """The WHERE clause; empty without conditions."""
        return f"WHERE {' AND '.join(self._texts)}" if self._texts else ""

    @property
    def texts(self) -> list[str]:
        return self._texts


def select(query: AuditQuery, start: Position | None) -> tuple[str, list[Any]]:
    """Return the statement that serves ``query`` from ``start`` on, and its parameters.

    Its columns are ``COLUMNS`` and the time as PostgreSQL writes it.
    """
    if codes_of(query) and not (query.trace_id or query.execution_id):
        return _by_code(query, start)
    found, named = _Conditions(), _Conditions()
    _require_equal(found, "t", query)
    _require_own(named, query)
    _require_codes(found, query)
    _require_bounds(found, "t", query, start)
    # What has a name is found by it and sorted then; the fence keeps that from being found by
    # walking through the whole log in its order.
    source = f"(SELECT * FROM audit_traces t {named.where} OFFSET 0) AS t"  # noqa: S608
    order = _order(start)
    return (
        f'SELECT {COLUMNS}, t."timestamp"::text FROM '  # noqa: S608
        f"{source if named.texts else 'audit_traces t'} {found.where} "
        f'ORDER BY t."timestamp" {order}, t.trace_id {order} LIMIT %s',
        [*named.values, *found.values, query.limit + 1],
    )


def _by_code(query: AuditQuery, start: Position | None) -> tuple[str, list[Any]]:
    """Walk the entries of the reason codes; only the page's own rows are looked up."""
    codes = codes_of(query)
    order = _order(start)
    ordered = f'ORDER BY k."timestamp" {order}, k.trace_id {order} LIMIT %s'
    entries = 'SELECT k."timestamp", k.trace_id FROM audit_trace_codes k'
    found = _Conditions()
    if len(codes) == 1:
        found.require("k.code = %s AND k.also = ''", codes[0])
    elif query.all_codes:
        found.require("k.code = %s AND k.also = %s", codes[0], codes[1])
        for code in codes[2:]:
            found.require(_ALSO_HOLDS, code)
    else:
        found.require("k.code = wanted.code AND k.also = ''")
    _require_equal(found, "k", query)
    _require_bounds(found, "k", query, start)
    page = f"{entries} {found.where} {ordered}"
    values = [*found.values, query.limit + 1]
    if len(codes) > 1 and not query.all_codes:  # of each code no more than the page has
        page = (
            'SELECT DISTINCT k."timestamp", k.trace_id '  # noqa: S608
            f"FROM unnest(%s::text[]) AS wanted(code) CROSS JOIN LATERAL ({page}) AS k {ordered}"
        )
        values = [codes, *values, query.limit + 1]
    return (
        f'SELECT {COLUMNS}, t."timestamp"::text FROM ({page}) AS c '  # noqa: S608
        "JOIN audit_traces t ON t.trace_id = c.trace_id "
        f'ORDER BY c."timestamp" {order}, c.trace_id {order}',
        values,
    )


_ALSO_HOLDS = """EXISTS (
    SELECT FROM audit_trace_codes x WHERE x.code = %s AND x.also = ''
      AND x."timestamp" = k."timestamp" AND x.trace_id = k.trace_id)"""


def codes_of(query: AuditQuery) -> list[str]:
    """Return the reason codes that are asked for, each once, in their order."""
    return sorted({code for code in query.reason_code.split(",") if code})


def equal_conditions(query: AuditQuery) -> tuple[list[str], list[Any]]:
    """Return every condition of ``query`` but time and position, on the table ``t``."""
    found = _Conditions()
    _require_equal(found, "t", query)
    _require_own(found, query)
    _require_codes(found, query)
    return found.texts, found.values


def _order(start: Position | None) -> str:
    return "ASC" if start is not None and start.direction is Direction.NEWER else "DESC"


def _require_equal(found: _Conditions, table: str, query: AuditQuery) -> None:
    """Ask what both tables can tell."""
    for name, column in _SHARED.items():
        value = getattr(query, name)
        if value:
            found.require(f"{table}.{column} = %s", value)
            if column in _PARTLY_INDEXED:
                found.require(f"{table}.{column} <> ''")
    if query.status and query.status != APPROVED:
        found.require(f"{table}.status <> '{APPROVED}'")


def _require_own(found: _Conditions, query: AuditQuery) -> None:
    """Ask what only the companion can tell."""
    if query.execution_id:
        found.require("t.execution_id = %s", query.execution_id)
    if query.trace_id:
        found.require("t.trace_id = %s::uuid", query.trace_id)


def _require_codes(found: _Conditions, query: AuditQuery) -> None:
    """Ask the companion for the codes; for rows that were found by something else."""
    codes = codes_of(query)
    if codes:
        found.require(f"t.reason_codes ?{'&' if query.all_codes else '|'} %s::text[]", codes)


def _require_bounds(
    found: _Conditions, table: str, query: AuditQuery, start: Position | None
) -> None:
    """Ask for a range of time and place, with one bound at each end."""
    since, until = query.since, query.until
    if start is not None:
        newer, moment = start.direction is Direction.NEWER, _moment(start.timestamp)
        if newer and since is not None and since <= moment:
            since = None
        if not newer and until is not None and until > moment:
            until = None
        if (since if newer else until) is None:
            found.require(
                f'({table}."timestamp", {table}.trace_id) {">" if newer else "<"} '
                "(%s::timestamptz, %s::uuid)",
                start.timestamp,
                start.trace_id,
            )
    if since is not None:
        found.require(f'{table}."timestamp" >= %s', since)
    if until is not None:
        found.require(f'{table}."timestamp" < %s', until)


def _moment(text: str) -> datetime:
    """Return the moment that PostgreSQL wrote; one beyond the calendar is the calendar's end."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        past = text.startswith("-") or text.endswith("BC")
        year = MINYEAR if past else MAXYEAR
        return datetime(year, 1, 1, tzinfo=UTC)
