"""How many commands this process runs at once, and how many may wait for their turn.

Whoever waits holds a thread, so waiting is bounded too: beyond it the answer is immediate, and
there are always threads left for requests that run nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import cache

from django.conf import settings


class NoSlot(Exception):
    """No slot became free in time, or too many wait already."""


class _Slot:
    """One that is held, and given back at the end of the block."""

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back = give_back

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        self._give_back()


class Slots:
    """``running`` slots, and room for ``waiting`` callers in front of them."""

    def __init__(self, *, running: int, waiting: int) -> None:
        self._mutex = threading.Lock()
        self._free = running
        self._waiting_most = waiting
        #: Those who wait, the longest first, each asleep on a lock that it is given with its slot.
        self._queue: deque[threading.Lock] = deque()

    def hold(self, *, wait_s: float) -> _Slot:
        """Hold a slot for the block. Raises :class:`NoSlot` after at most ``wait_s``."""
        self._take(wait_s)
        return _Slot(self._give_back)

    def _take(self, wait_s: float) -> None:
        with self._mutex:
            if self._free:
                self._free -= 1
                return
            if len(self._queue) >= self._waiting_most:
                raise NoSlot("too many runs wait already")
            baton = threading.Lock()
            baton.acquire()
            self._queue.append(baton)
        if baton.acquire(timeout=max(0.0, wait_s)):
            return
        with self._mutex:
            if baton in self._queue:
                self._queue.remove(baton)
                raise NoSlot(f"no slot became free within {wait_s:.1f} s")
        # It was given in the very moment.

    def _give_back(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._free += 1


@cache
def slots() -> Slots:
    """The slots of this process."""
    return Slots(running=settings.RUN_SLOTS, waiting=settings.RUN_WAITERS)
