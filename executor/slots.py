"""How many commands this process runs at once, and how many may wait for their turn.

Whoever waits holds a thread, so waiting is bounded too: beyond it the answer is immediate, and
there are always threads left for requests that run nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from django.conf import settings


class NoSlot(Exception):
    """No slot became free in time, or too many wait already."""


class Slots:
    """``running`` slots, and room for ``waiting`` callers in front of them."""

    def __init__(self, *, running: int, waiting: int) -> None:
        self._free = threading.Semaphore(running)
        self._room = threading.Semaphore(running + waiting)

    @contextmanager
    def hold(self, *, wait_s: float) -> Iterator[None]:
        """Hold a slot for the block. Raises :class:`NoSlot` after at most ``wait_s``."""
        if not self._room.acquire(blocking=False):
            raise NoSlot("too many runs wait already")
        try:
            if not self._free.acquire(timeout=max(0.0, wait_s)):
                raise NoSlot(f"no slot became free within {wait_s:.1f} s")
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._room.release()


@cache
def slots() -> Slots:
    """The slots of this process."""
    return Slots(running=settings.RUN_SLOTS, waiting=settings.RUN_WAITERS)
