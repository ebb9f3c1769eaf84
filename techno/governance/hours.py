"""At which times of the week something is allowed, in a time zone of its own.

Written as people write it: ``mon-fri 08:00-18:00, sat 09:00-12:30 Europe/Lisbon``. Days are
``mon`` to ``sun``, ranges of them (also across the weekend) or ``daily``; a span of time that
ends before it begins goes on into the next day; ``00:00-24:00`` is the whole day. Without a zone
it is UTC. On the two days a year on which a zone changes its clocks, what counts is what the
clocks on the wall show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY
TEXT_LIMIT = 200
_PART = re.compile(
    r"(?P<days>[a-z]{3,5}(?:-[a-z]{3})?) +"
    r"(?P<from>[0-9]{1,2}:[0-9]{2}) *- *(?P<to>[0-9]{1,2}:[0-9]{2})"
)
_RULE = "write for example 'mon-fri 08:00-18:00, sat 09:00-12:00 Europe/Lisbon'"


@dataclass(frozen=True, slots=True)
class Hours:
    """The allowed minutes of a week, as wall clocks in ``zone`` show them."""

    text: str
    zone: str = field(compare=True)
    minutes: bytes = field(repr=False)

    def allow(self, unix_s: float) -> bool:
        """Whether the moment ``unix_s`` lies in these hours."""
        local = datetime.fromtimestamp(unix_s, _zone(self.zone))
        minute = local.weekday() * MINUTES_A_DAY + local.hour * 60 + local.minute
        return self.minutes[minute] == 1

    def within(self, other: Hours) -> bool:
        """Whether all of these hours lie in ``other``. Not said of different zones."""
        return self.zone == other.zone and all(
            mine <= theirs for mine, theirs in zip(self.minutes, other.minutes, strict=True)
        )


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


@lru_cache(maxsize=1024)
def read_hours(text: str) -> Hours:
    """Read hours as people write them. Raises ``ValueError`` with the rule that was broken."""
    parts = [part.strip() for part in text.strip().split(",")]
    last, _, zone = parts[-1].rpartition(" ")
    if "/" in zone or zone.upper() == "UTC":
        parts[-1] = last.strip()
        zone = "UTC" if zone.upper() == "UTC" else zone
    else:
        zone = "UTC"
    _check_zone(zone)
    if len(text) > TEXT_LIMIT or not all(parts):
        raise ValueError(f"hours: {_RULE}")
    minutes = bytearray(MINUTES_A_WEEK)
    for part in parts:
        for start, length in _spans(part.lower()):
            for minute in range(start, start + length):
                minutes[minute % MINUTES_A_WEEK] = 1
    return Hours(f"{', '.join(part.lower() for part in parts)} {zone}", zone, bytes(minutes))


def _check_zone(zone: str) -> None:
    try:
        _zone(zone)
    except (OSError, ValueError, KeyError) as error:  # KeyError: ZoneInfoNotFoundError
        raise ValueError(f"hours: there is no time zone {zone!r}") from error


def _spans(part: str) -> list[tuple[int, int]]:
    """Return (first minute of the week, length) for each day that ``part`` names."""
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"hours: {part!r} is not understood; {_RULE}")
    start, end = _minute(found["from"]), _minute(found["to"])
    if start in (end, MINUTES_A_DAY):
        raise ValueError(f"hours: {part!r} allows nothing; 00:00-24:00 is the whole day")
    length = (end - start) % MINUTES_A_DAY or MINUTES_A_DAY
    return [(day * MINUTES_A_DAY + start, length) for day in _days(found["days"])]


def _minute(text: str) -> int:
    hour, minute = (int(number) for number in text.split(":"))
    if minute > 59 or hour * 60 + minute > MINUTES_A_DAY:
        raise ValueError(f"hours: {text} is no time of the day")
    return hour * 60 + minute


def _days(text: str) -> list[int]:
    if text == "daily":
        return list(range(7))
    first, _, last = text.partition("-")
    for name in (first, last or first):
        if name not in DAYS:
            raise ValueError(f"hours: {name!r} is no day; write mon, tue, … sun, or daily")
    start, end = DAYS.index(first), DAYS.index(last or first)
    return [(start + step) % 7 for step in range((end - start) % 7 + 1)]
