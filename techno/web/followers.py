"""The room for requests that wait for more, of the log or of a run's output: one for them all."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from audit.tail import Followers


@cache
def followers() -> Followers:
    """Return the room in this process."""
    return Followers(settings.FOLLOWERS)
