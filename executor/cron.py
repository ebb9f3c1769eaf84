"""When a cron expression is due, in a time zone whose clock is put forward and back. Pure.

An expression speaks of the clock on the wall. Twice a year a wall clock lies, so two rules:

- Where the hour field is ``*``, the expression means "every hour, as time passes": minutes that
  the clock skips are skipped, minutes that it shows twice are due twice.
- Everywhere else it means "at that time of the day", once: a time that the clock skips is due at
  the moment of the skip, a time that it shows twice is due the first time. Several skipped
  times are due together, which is once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter

EXPRESSION_LIMIT = 100
#: Five fields of numbers, ranges, steps, lists and names; no seconds, no ``L``, ``#`` or ``@``.
_NAMES = "MON|TUE|WED|THU|FRI|SAT|SUN|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_FIELD = rf"(?:[0-9*/,\-]|(?i:{_NAMES}))+"
_EXPRESSION = re.compile(rf"{_FIELD}(?: {_FIELD}){{4}}")
#: No zone has ever moved its clock further than by a day.
_FARTHEST = timedelta(hours=26)
_SECOND = timedelta(seconds=1)


class BadSchedule(ValueError):
    """An expression or a zone cannot be used; the text says why."""


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone ``name``. Raises :class:`BadSchedule`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(f"{name!r} is not the name of a time zone.") from error


def checked_expression(text: str) -> str:
    """Return an expression with single spaces. Raises :class:`BadSchedule` also for "never"."""
    expression = " ".join(text.split())
    if len(expression) > EXPRESSION_LIMIT or _EXPRESSION.fullmatch(expression) is None:
        raise BadSchedule("A cron expression has five fields: minute hour day month weekday.")
    try:
        croniter(expression, datetime(2000, 1, 1)).get_next(datetime)  # noqa: DTZ001 - wall time
    except (CroniterError, ValueError, KeyError) as error:
        raise BadSchedule(f"{expression!r} is never due or is no cron expression.") from error
    return expression


def next_due(expression: str, zone: str, after: datetime) -> datetime:
    """Return the first moment after ``after`` at which ``expression`` is due, in UTC.

    ``after`` has a zone. Raises :class:`BadSchedule`.
    """
    known = zone_of(zone)
    after = after.astimezone(UTC)
    best: datetime | None = None
    for wall in _walls(checked_expression(expression), known, after):
        moments = _moments(wall, known, twice=_every_hour(expression))
        if best is not None and (not moments or moments[0] >= best):
            if moments:
                return best
            continue
        for moment in moments:
            if moment > after and (best is None or moment < best):
                best = moment
    raise BadSchedule(f"{expression!r} is never due again.")


def upcoming(expression: str, zone: str, after: datetime, count: int) -> list[datetime]:
    """Return the next ``count`` moments after ``after``. Raises :class:`BadSchedule`."""
    found: list[datetime] = []
    for _ in range(count):
        after = next_due(expression, zone, after)
        found.append(after)
    return found


def _every_hour(expression: str) -> bool:
    return expression.split()[1] == "*"


def _walls(expression: str, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Times on the wall, in order, from one that is surely not too late."""
    start = after.astimezone(zone).replace(tzinfo=None, fold=0)
    if _offset(after - _FARTHEST, zone) != _offset(after, zone):
        start -= _FARTHEST  # what the clock shows now it may have shown before
    times = croniter(expression, start - _SECOND)
    while True:
        try:
            yield times.get_next(datetime)
        except CroniterError:
            return


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _moments(wall: datetime, zone: ZoneInfo, *, twice: bool) -> list[datetime]:
    """Return when the clock of ``zone`` shows ``wall``: never, once or twice, as the rules say."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return [first]
    if first < second:  # the clock was put back
        return [first, second] if twice else [first]
    return [] if twice else [_skip_between(second, first, zone)]


def _skip_between(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the second at which the clock of ``zone`` is put forward between two moments."""
    before = _offset(low - _SECOND, zone)
    low -= _SECOND
    while high - low > _SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
