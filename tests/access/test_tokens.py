"""Leased buckets: together, processes never get more than a bucket gave, and get all of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from techno.access import holds, tokens
from techno.access.tokens import Bucket, bucket, prune_buckets
from techno.database.current import store
from techno.database.errors import StoreUnavailable
from techno.governance.restrictions import Rate
from techno.processes import wait_until
from tests import databases, isolation
from tests.portal.making import unique

DAY_S = 86_400


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s


class Table:
    """What ``take_tokens.sql`` does, in memory."""

    def __init__(self, clock: Clock, rate: Rate) -> None:
        self.clock, self.rate = clock, rate
        self.level, self.at_s = float(rate.requests), clock.now_s

    def ask(self, wanted: float, back: float) -> tuple[float, float]:
        refilled = (self.clock.now_s - self.at_s) * self.rate.per_s
        level = min(float(self.rate.requests), self.level + back + refilled)
        granted = min(wanted, max(1, level // 4), level // 1)
        self.level, self.at_s = level - granted, self.clock.now_s
        return float(granted), self.level


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(tokens, "time", made)
    return made


def shares(clock: Clock, rate: Rate, count: int) -> list[Bucket]:
    """The shares of so many processes in one bucket."""
    table = Table(clock, rate)
    made = [Bucket("x", rate) for _ in range(count)]
    for each in made:
        each._ask = table.ask  # type: ignore[method-assign]
    return made


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 30), st.sampled_from([0, 0, 0.001, 0.05, 0.7, 3])),
    max_size=60,
)


@given(st.integers(1, 200), st.integers(1, 100), STEPS)
def test_never_more_than_the_bucket_gave(
    requests: int, window_s: int, steps: list[tuple[int, int, float]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(tokens, "time", clock)
        rate = Rate(requests, window_s)
        processes = shares(clock, rate, 4)
        begun_s, allowed = clock.now_s, 0
        for who, often, pause_s in steps:
            for _ in range(often):
                taken = processes[who].take()
                allowed += taken.allowed
                assert taken.retry_after_s >= (0 if taken.allowed else 1)
                assert 0 <= taken.remaining <= requests
            assert allowed <= requests + (clock.now_s - begun_s) * rate.per_s + 1e-6
            clock.now_s += pause_s


def test_all_of_it_is_given_to_those_who_keep_asking(clock: Clock) -> None:
    rate = Rate(1_000, 10)
    processes = shares(clock, rate, 4)
    allowed = 0
    for turn in range(40_000):  # 4,000 a second, for ten seconds
        allowed += processes[turn % 4].take().allowed
        clock.now_s += 0.000_25
    assert abs(allowed - 2_000) <= 20


def test_most_tokens_are_taken_from_memory(clock: Clock) -> None:
    (share,) = shares(clock, Rate(100_000, 10), 1)
    asked = []
    ask = share._ask
    share._ask = lambda wanted, back: asked.append(wanted) or ask(wanted, back)  # type: ignore[func-returns-value,method-assign,assignment]
    for _ in range(10_000):  # 2,000 a second
        assert share.take().allowed
        clock.now_s += 0.000_5
    assert len(asked) < 100


def test_without_the_database_a_process_limits_by_itself(clock: Clock) -> None:
    (share,) = shares(clock, Rate(10, 10), 1)

    def away(wanted: float, back: float) -> tuple[float, float]:
        raise StoreUnavailable("away")

    share._ask = away  # type: ignore[method-assign,assignment]
    assert [share.take().allowed for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now_s += 3
    assert [share.take().allowed for _ in range(4)] == [True] * 3 + [False]


# -- in PostgreSQL ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_threads_share_a_bucket() -> None:
    share = bucket(unique("bucket"), Rate(50, DAY_S))
    with ThreadPoolExecutor(8) as pool:
        allowed = list(pool.map(lambda _: share.take().allowed, range(120)))
    assert sum(allowed) == 50
    assert share.look().remaining == 0
    prune_buckets()


_HAMMER = """
import json, time
from techno.access.tokens import bucket
from techno.governance.restrictions import Rate
from techno.processes import wait_until
share, refused, allowed = bucket(%r, Rate(%d, 86400)), 0, 0
while refused < 40:
    if share.take().allowed:
        allowed += 1
    else:
        refused += 1
        share._empty_until_s = 0
print(json.dumps(allowed))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("database")
def test_four_processes_get_exactly_what_there_is() -> None:
    most = 3_000
    code = _HAMMER % (unique("bucket"), most)
    environment = isolation.service_environment(
        isolation.VAR_DIR, isolation.OWN_DATABASE if isolation.EXTERNAL_URL else ""
    )

    def hammer(_: int) -> int:
        done = databases.manage(environment, "shell", "-v", "0", "-c", code)
        allowed: int = json.loads(done.stdout.splitlines()[-1])
        return allowed

    with ThreadPoolExecutor(4) as pool:
        allowed = list(pool.map(hammer, range(4)))
    refilled = 2  # a token comes back every 29 s
    assert most <= sum(allowed) <= most + refilled


@pytest.mark.usefixtures("database")
def test_places_are_counted_across_sessions() -> None:
    """Two processes are two sessions; what one loses with its connection, the other may take."""
    name = unique("key")
    here, there = holds.Holds(), holds.Holds()
    first, second = here.take(name, 2), there.take(name, 2)
    assert first is not None
    assert second is not None
    assert here.take(name, 2) is None
    assert there.take(name, 2) is None
    first()
    third = there.take(name, 2)
    assert third is not None
    there._lose()  # as when its process dies
    again: list[holds.Release] = []

    def all_taken() -> bool:  # the server notices in its own time
        release = here.take(name, 2)
        again.extend([release] if release is not None else [])
        return len(again) == 2

    assert wait_until(all_taken, 10)
    assert here.take(name, 2) is None
    for each_release in (second, third, *again):
        each_release()
    assert None not in [here.take(name, 3) for _ in range(3)]
    for each in (here, there):
        each._lose()


@pytest.mark.usefixtures("database")
def test_without_the_database_places_are_counted_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise StoreUnavailable("away")

    monkeypatch.setattr(store().circuit, "require", away)
    alone = holds.Holds()
    taken = [alone.take("key", 2) for _ in range(3)]
    assert [release is not None for release in taken] == [True, True, False]
    taken[0]()  # type: ignore[misc]
    assert alone.take("key", 2) is not None
