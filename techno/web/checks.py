"""System checks of the service as a whole (``techno.E5xx`` and ``techno.W5xx``)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, connection

#: Expiry, approvals and schedules are decided by clocks; more than this apart they disagree.
CLOCKS_APART_S = 2.0


@register(Tags.database)
def clocks_agree(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """This host and PostgreSQL have the same time."""
    if not databases:
        return []
    try:
        apart_s = clocks_apart_s()
    except DatabaseError:
        return []  # away: other checks tell
    if abs(apart_s) <= CLOCKS_APART_S:
        return []
    return [
        Warning(
            f"PostgreSQL's clock is {apart_s:+.1f} s from this host's.",
            hint="Let both keep time by NTP.",
            id="techno.W501",
        )
    ]


def clocks_apart_s() -> float:
    """Return how far the database's clock is ahead, to within half of a round trip."""
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        (theirs,) = cursor.fetchone()
        after = time.time()
    return float(theirs) - (before + after) / 2


@register(Tags.security)
def console_origins_are_origins(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """An origin is a scheme, a host and perhaps a port; by plain http anybody could be it."""
    open_ones = [
        origin
        for origin in settings.CORS_ALLOWED_ORIGINS
        if urlsplit(origin).scheme != "https"
        and urlsplit(origin).hostname not in ("localhost", "127.0.0.1", "::1")
    ]
    if not open_ones:
        return []
    return [
        Error(
            f"TECHNO_CORS_ORIGINS holds {open_ones[0]!r}, which others can pretend to be.",
            hint="Name https:// origins, or localhost.",
            id="techno.E502",
        )
    ]
