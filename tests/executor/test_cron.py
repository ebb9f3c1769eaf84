"""When an expression is due, above all on the nights when clocks are put forward and back."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from executor.cron import BadSchedule, checked_expression, next_due, upcoming

ZONES = st.sampled_from(
    [
        *("UTC", "Europe/Berlin", "America/Sao_Paulo", "America/New_York", "Asia/Kolkata"),
        *("Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Antarctica/Troll"),
    ]
)
MOMENTS = st.datetimes(
    min_value=datetime(2005, 1, 1),  # noqa: DTZ001 - hypothesis wants these bare
    max_value=datetime(2035, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
DAILY = st.builds("{} {} * * *".format, st.integers(0, 59), st.integers(0, 23))
HOURLY = st.sampled_from(["* * * * *", "*/15 * * * *", "0 * * * *", "7,52 * * * *"])
ANY = st.one_of(DAILY, HOURLY, st.sampled_from(["30 2 1 * *", "0 0 * * SUN", "15 1-4 * MAR,NOV *"]))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "zone", "after", "due"),
    [
        ("30 9 * * *", "UTC", "2026-05-01T09:29:59", ["2026-05-01T09:30", "2026-05-02T09:30"]),
        ("30 9 * * *", "UTC", "2026-05-01T09:30", ["2026-05-02T09:30"]),
        # 2:30 does not exist on this night in Berlin: due when the clock jumps from 2 to 3.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00",
            ["2026-03-29T01:00", "2026-03-30T00:30"],
        ),
        # Several skipped times, and the one at the jump itself, are due once.
        (
            "0,20,40 2,3 * * *",
            "Europe/Berlin",
            "2026-03-29T00:50",
            ["2026-03-29T01:00", "2026-03-29T01:20", "2026-03-29T01:40", "2026-03-30T00:00"],
        ),
        # 2:30 comes twice on this one: due the first time.
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00",
            ["2026-10-25T00:30", "2026-10-26T01:30"],
        ),
        # Every hour is every hour that passes.
        (
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00",
            ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"],
        ),
        (
            "30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00",
            ["2026-03-29T00:30", "2026-03-29T01:30"],
        ),
        # A clock that is put forward by half an hour, and a day that never was.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00", ["2026-10-03T15:30"]),
        (
            "0 12 * * *",
            "Pacific/Apia",
            "2011-12-29T23:00",
            ["2011-12-30T10:00", "2011-12-30T22:00"],
        ),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", ["2028-02-29T00:00"]),
    ],
)
def test_due(expression: str, zone: str, after: str, due: list[str]) -> None:
    assert upcoming(expression, zone, utc(after), len(due)) == [utc(moment) for moment in due]


@given(ANY, ZONES, MOMENTS)
def test_due_is_later_and_nothing_lies_between(expression: str, zone: str, after: datetime) -> None:
    due = next_due(expression, zone, after)
    assert due > after
    assert next_due(expression, zone, due - timedelta(seconds=1)) == due
    between = after + (due - after) / 2
    assert next_due(expression, zone, between) == due


@given(DAILY, ZONES, MOMENTS)
def test_a_time_of_the_day_is_due_once_a_day(expression: str, zone: str, after: datetime) -> None:
    walls = [due.astimezone(ZoneInfo(zone)) for due in upcoming(expression, zone, after, 8)]
    minute, hour = (int(field) for field in expression.split()[:2])
    days = [wall.date() for wall in walls]
    skipped = [wall for wall in walls if (wall.hour, wall.minute) != (hour, minute)]
    assert len(skipped) <= 1  # the night of a jump
    if zone != "Pacific/Apia":  # where the jump itself lies on the next day
        assert days == [days[0] + timedelta(days=number) for number in range(len(days))]


@given(HOURLY, ZONES, MOMENTS)
def test_minutes_of_every_hour_follow_the_time_that_passes(
    expression: str, zone: str, after: datetime
) -> None:
    wanted = {int(minute) for minute in _minutes(expression)}
    for due in upcoming(expression, zone, after, 6):
        assert due.astimezone(ZoneInfo(zone)).minute in wanted
        assert due.second == due.microsecond == 0
    if zone not in ("Australia/Lord_Howe", "Pacific/Apia"):
        first, second = upcoming(expression, zone, after, 2)
        assert second - first <= timedelta(hours=1)


def _minutes(expression: str) -> list[str]:
    return [str(minute) for minute in croniter.expand(expression)[0][0] if minute != "*"] or [
        str(minute) for minute in range(60)
    ]


@given(ANY, MOMENTS)
def test_where_no_clock_moves_croniter_says_the_same(expression: str, after: datetime) -> None:
    naive = croniter(expression, after.replace(tzinfo=None)).get_next(datetime)
    assert next_due(expression, "UTC", after) == naive.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "0 0 30 2 *"),
        *("0 0 L * *", "0 0 * * MON#1", "H * * * *", "* * * * *\n; x", "a b c d e", "٠ * * * *"),
        *("1-70000 * * * *", "*/0 * * * *", "0 0 0 * *"),
    ],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(BadSchedule):
        checked_expression(text)


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with suppress(BadSchedule):
        assert next_due(text, "UTC", utc("2026-01-01T00:00")) > utc("2026-01-01T00:00")


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_what_is_no_zone(zone: str) -> None:
    with pytest.raises(BadSchedule):
        next_due("* * * * *", zone, utc("2026-01-01T00:00"))
