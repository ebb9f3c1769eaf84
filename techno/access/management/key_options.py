"""The options by which a key's terms are given on a command line."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from techno.access.models import all_scopes
from techno.governance.restrictions import Rate

_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{0,6})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_terms(parser: ArgumentParser) -> None:
    """Declare what a key may do. What is not given is not touched."""
    parser.add_argument(
        "--scope", action="append", choices=all_scopes(), help="repeatable; default: all"
    )
    parser.add_argument(
        "--action", action="append", help="allowed action or pattern (GET_*); repeatable"
    )
    parser.add_argument("--network", action="append", help="allowed network; repeatable")
    parser.add_argument("--rate", help="requests and time: 100/60, 100/m, 5000/1h")
    parser.add_argument("--concurrent", type=int, help="requests under way at once")
    parser.add_argument("--hours", help="such as 'mon-fri 08:00-18:00 Europe/Lisbon'")


def add_end(parser: ArgumentParser) -> None:
    """Declare when a key ends."""
    expiry = parser.add_mutually_exclusive_group()
    expiry.add_argument("--days", type=int, help="expire after so many days")
    expiry.add_argument("--expires", help="expire at this ISO 8601 time")


def terms_in(options: dict[str, Any]) -> dict[str, Any]:
    """Return the terms that were given, as the services take them. Raises ``CommandError``."""
    given = {
        "scopes": options["scope"],
        "allowed_actions": options["action"],
        "allowed_networks": options["network"],
        "rate": _rate(options["rate"]) if options["rate"] else None,
        "concurrent": options["concurrent"],
        "allowed_hours": options["hours"],
    }
    return {name: value for name, value in given.items() if value is not None}


def end_in(options: dict[str, Any]) -> datetime | None:
    """Return when the key ends, from either way of saying it."""
    days: int | None = options["days"]
    moment: str | None = options["expires"]
    if days is not None:
        return timezone.now() + timedelta(days=days)
    return None if moment is None else _moment(moment, "--expires")


def moment_in(text: str) -> datetime:
    """Return a time that is given as one, or as a span from now (``7d``)."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        return timezone.now() + timedelta(**{_UNITS[span[2]]: int(span[1])})
    return _moment(text, "--overlap")


def _moment(text: str, option: str) -> datetime:
    try:
        parsed = parse_datetime(text)
    except ValueError:
        parsed = None
    if parsed is None:
        raise CommandError(f"{option} must be an ISO 8601 time, for example 2027-01-31T12:00:00Z.")
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)


def _rate(text: str) -> Rate:
    found = _RATE.fullmatch(text)
    if found is None or not (found[2] or found[3]):
        raise CommandError("--rate must be requests and a time, for example 100/60 or 100/m.")
    return Rate(int(found[1]), int(found[2] or 1) * _SECONDS[found[3]])
