"""Rates that hold across all processes and hosts: buckets of tokens in PostgreSQL, leased.

A process takes tokens ahead with one cheap statement and spends them from memory; it takes what
it is likely to spend in ``SLICE_S``, and never more than a part of what is left, so that leases
shrink to single tokens as a bucket empties. Tokens leave the bucket before they are spent:
together, all processes never get more than the bucket gave.

When PostgreSQL is away, each process goes on with a bucket of its own of the same size: a caller
may then get as much from each process, and is still limited. (The other two ways would be to let
everything through, or to refuse whoever has a rate while those without one are served.)
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

import structlog

from techno.access.sql import statement
from techno.database.current import store
from techno.database.errors import StoreError
from techno.governance.restrictions import Rate

log = structlog.get_logger(__name__)
#: How much of its own demand a process takes ahead.
SLICE_S = 0.1
#: Tokens that were not spent by then go back with the next statement.
LEASE_S = 1.0
#: An empty bucket is not asked again sooner, however fast it is refilled.
PAUSE_S = 0.005
#: So many buckets a process remembers; the oldest is forgotten, what it had leased is lost.
BUCKETS_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Whether a token was there, how many are left, and when more are."""

    allowed: bool
    remaining: int
    full_in_s: int
    retry_after_s: int = 0


class Bucket:
    """One process's share of the bucket ``name``."""

    def __init__(self, name: str, rate: Rate) -> None:
        self.name, self.rate = name, rate
        self._lock = threading.Lock()
        self._leased = 0.0
        self._level = float(rate.requests)
        self._asked_s = self._empty_until_s = float("-inf")
        self._spent = 0
        self._alone_level, self._alone_at_s = float(rate.requests), time.monotonic()

    def take(self) -> Taken:
        """Take one token, from what is leased or from the database."""
        with self._lock:
            now_s = time.monotonic()
            if self._leased < 1 or now_s - self._asked_s > LEASE_S:
                if now_s < self._empty_until_s:
                    return self._told(False, now_s)
                self._lease(now_s)
            if self._leased < 1:
                return self._told(False, now_s)
            self._leased -= 1
            self._spent += 1
            return self._told(True, now_s)

    def look(self) -> Taken:
        """Say how many tokens are left in all, without taking one."""
        with self._lock:
            now_s = time.monotonic()
            try:
                _, self._level = self._ask(0, 0)
                self._asked_s = now_s
            except StoreError:
                pass
            return self._told(self._level + self._leased >= 1, now_s)

    def _lease(self, now_s: float) -> None:
        """Give back what is left, and take what the next moments will need."""
        wanted = self._demand(now_s)
        try:
            granted, level = self._ask(wanted, self._leased)
        except StoreError as error:
            self._go_alone(now_s, error)
            return
        self._leased, self._level, self._asked_s, self._spent = granted, level, now_s, 0
        if granted < 1:
            missing_s = (1 - level) / self.rate.per_s
            self._empty_until_s = now_s + max(PAUSE_S, missing_s)

    def _demand(self, now_s: float) -> int:
        """Return how many tokens are spent here in a slice of time, by how fast the last went."""
        lasted_s = max(now_s - self._asked_s, PAUSE_S / 10)
        return min(self.rate.requests, max(1, math.ceil(self._spent / lasted_s * SLICE_S)))

    def _ask(self, wanted: int, back: float) -> tuple[float, float]:
        """Exchange tokens with the database; return what it gave and what is left there."""
        capacity, per_s = self.rate.requests, self.rate.per_s
        given = [self.name, capacity, per_s, capacity, wanted, capacity, back, wanted]
        granted, level = store().reads.row(statement("take_tokens"), given) or (0, 0)
        return float(granted), float(level)

    def _go_alone(self, now_s: float, error: StoreError) -> None:
        """Take a token from a bucket of our own, while there is no other."""
        refilled = self._alone_level + (now_s - self._alone_at_s) * self.rate.per_s
        level = min(float(self.rate.requests), refilled)
        self._leased = 1.0 if level >= 1 else 0.0
        self._alone_level, self._alone_at_s = level - self._leased, now_s
        self._level = self._alone_level
        self._asked_s, self._spent = now_s, 0
        if not self._leased:
            self._empty_until_s = now_s + (1 - level) / self.rate.per_s
            log.warning("a rate holds for this process only", bucket=self.name, cause=str(error))

    def _told(self, allowed: bool, now_s: float) -> Taken:
        refilled = max(0.0, now_s - self._asked_s) * self.rate.per_s
        left = min(float(self.rate.requests), self._level + self._leased + refilled)
        wait_s = 0 if allowed else max(1, math.ceil(self._empty_until_s - now_s))
        full_in_s = math.ceil((self.rate.requests - left) / self.rate.per_s)
        return Taken(allowed, math.floor(left) if allowed else 0, full_in_s, wait_s)


_buckets: dict[str, Bucket] = {}
_making = threading.Lock()


def bucket(name: str, rate: Rate) -> Bucket:
    """Return this process's share of a bucket; a rate that changed makes a new share."""
    found = _buckets.get(name)
    if found is None or found.rate != rate:
        with _making:
            while len(_buckets) >= BUCKETS_MOST:
                del _buckets[next(iter(_buckets))]
            found = _buckets[name] = Bucket(name, rate)
    return found


def prune_buckets() -> None:
    """Forget buckets in the database that are full again. Raises ``StoreError``."""
    store().reads.rows(statement("prune_buckets"))
