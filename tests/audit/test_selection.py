"""The statement that serves a question: one bound at each end, on the table that is walked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audit.selection import AuditQuery, Direction, Position, codes_of, select

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TRACE = "019ab0c4-6f40-7c11-8a5e-2f6d1b0c9e77"


def at(moment: datetime, direction: Direction) -> Position:
    return Position(moment.isoformat(" ").replace("+00:00", "+00"), TRACE, direction)


@pytest.mark.parametrize(
    ("direction", "since", "until", "row", "scalars"),
    [
        (Direction.OLDER, None, NOON + HOUR, "<", 0),  # the place is the narrower end
        (Direction.OLDER, None, NOON - HOUR, None, 1),  # the time is
        (Direction.OLDER, NOON - HOUR, None, "<", 1),  # one at each end
        (Direction.NEWER, NOON - HOUR, None, ">", 0),
        (Direction.NEWER, NOON + HOUR, None, None, 1),
        (Direction.NEWER, None, NOON + HOUR, ">", 1),
        (Direction.NEWER, NOON - HOUR, NOON + HOUR, ">", 1),
    ],
)
def test_one_bound_at_each_end(
    direction: Direction,
    since: datetime | None,
    until: datetime | None,
    row: str | None,
    scalars: int,
) -> None:
    for codes in ("", "E12_timeout", "E12_timeout,G13_rate_limited"):
        query = AuditQuery(since=since, until=until, reason_code=codes)
        statement, values = select(query, at(NOON, direction))
        table = "k" if codes else "t"
        pair = f'({table}."timestamp", {table}.trace_id) '
        assert (f"{pair}{row}" in statement) if row else (pair not in statement)
        ends = [f'{table}."timestamp" >= %s', f'{table}."timestamp" < %s']
        assert sum(end in statement for end in ends) == scalars
        assert statement.count("%s") == len(values)


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("infinity", True),
        ("20000-01-01 00:00:00+00", True),
        ("-infinity", False),
        ("4712-01-01 00:00:00+00 BC", False),
    ],
)
def test_places_beyond_the_calendar_are_on_its_far_side(text: str, later: bool) -> None:
    statement, _ = select(AuditQuery(until=NOON), Position(text, TRACE))
    assert ("t.trace_id) <" in statement) is not later


def test_what_has_a_name_is_found_by_it() -> None:
    statement, values = select(AuditQuery(trace_id=TRACE, reason_code="E12_timeout"), None)
    assert "OFFSET 0" in statement
    assert "audit_trace_codes" not in statement
    assert values == [TRACE, ["E12_timeout"], 51]


def test_codes_are_asked_once_and_in_order() -> None:
    assert codes_of(AuditQuery(reason_code="B,A,,B")) == ["A", "B"]
    statement, values = select(AuditQuery(reason_code="C,B,A", all_codes=True), None)
    assert values == ["A", "B", "C", 51]
    assert statement.count("EXISTS") == 1


def test_approved_is_the_only_status_without_the_partial_indexes() -> None:
    assert "status <> 'APPROVED'" in select(AuditQuery(status="BLOCKED"), None)[0]
    assert "status <> 'APPROVED'" not in select(AuditQuery(status="APPROVED"), None)[0]
