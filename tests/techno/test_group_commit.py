"""Group commit on the real database, through a wire that breaks at the worst moments."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from techno.database.current import connection_parameters
from techno.database.errors import DataRefused, DuplicateKey, StoreError, StoreUnavailable
from techno.database.group_commit import BATCH_LIMIT, Statement, Write
from techno.database.store import Store
from techno.processes import wait_until
from tests import databases
from tests.techno.proxy import Proxy

DEADLINE_S = 0.5
PATIENCE_S = 20.0
_TABLE = """
CREATE TABLE IF NOT EXISTS {name} (
    key uuid PRIMARY KEY, place integer CHECK (place < 1000), word text DEFAULT '', own uuid
);
GRANT SELECT, INSERT ON {name} TO PUBLIC
"""


def kind(name: str, order: int) -> Statement:
    rows = "FROM jsonb_to_recordset(%s::jsonb) AS r(key uuid, place integer, word text)"
    return Statement(
        name,
        f"INSERT INTO {name} (key, place, word) SELECT key, place, word {rows}",
        f"SELECT key::text FROM {name} WHERE key IN (SELECT key {rows})",
        "key",
        order,
    )


FIRST, SECOND = kind("test_first_rows", 1), kind("test_second_rows", 2)


def row(statement: Statement = FIRST, key: str = "", place: Any = 0, word: Any = "") -> Write:
    return Write(statement, {"key": key or str(uuid.uuid4()), "place": place, "word": word})


@pytest.fixture(scope="module")
def owner(migrated_database: None) -> Iterator[psycopg.Connection[Any]]:
    with databases.connect_as_owner() as connection:
        for statement in (FIRST, SECOND):
            connection.execute(_TABLE.format(name=statement.name))  # type: ignore[arg-type]
        yield connection
        for statement in (FIRST, SECOND):
            connection.execute(f"DROP TABLE {statement.name}")  # type: ignore[arg-type]


@pytest.fixture
def proxy(database: None) -> Iterator[Proxy]:
    with (
        tempfile.TemporaryDirectory(prefix="techno-") as directory,
        Proxy(connection_parameters(), Path(directory)) as proxy,
    ):
        yield proxy


@pytest.fixture
def store(proxy: Proxy, owner: psycopg.Connection[Any]) -> Iterator[Store]:
    store = Store(proxy.through, deadline_s=DEADLINE_S)
    yield store
    proxy.release()
    assert wait_until(lambda: store.circuit.cause == "", PATIENCE_S)  # its thread has ended
    store.writes.close()


@pytest.fixture
def stored(owner: psycopg.Connection[Any]) -> Callable[..., int]:
    """How many rows with these writes' keys there are."""

    def count(*writes: Write) -> int:
        return sum(
            len(
                owner.execute(
                    f"SELECT 1 FROM {write.statement.name} WHERE key = %s",  # type: ignore[arg-type]
                    [write.key],
                ).fetchall()
            )
            for write in writes
        )

    return count


def commit_while_one_is_under_way(
    store: Store, proxy: Proxy, first: Write, others: list[tuple[Write, ...]]
) -> list[Future[None]]:
    """Commit ``first``, hold its answer until ``others`` wait behind it, then let go."""
    store.writes.commit(row())  # opens the connection
    pool = ThreadPoolExecutor(len(others) + 1)
    proxy.hold()
    before = proxy.answers
    futures = [pool.submit(store.writes.commit, first)]
    assert wait_until(lambda: proxy.answers > before, PATIENCE_S)
    futures += [pool.submit(store.writes.commit, *writes) for writes in others]
    assert wait_until(lambda: len(store.writes._queue) == len(others), PATIENCE_S)
    proxy.release()
    pool.shutdown()
    return futures


@pytest.fixture
def patient(proxy: Proxy, owner: psycopg.Connection[Any]) -> Iterator[Store]:
    """A store whose deadline is no matter."""
    store = Store(proxy.through, deadline_s=PATIENCE_S)
    yield store
    store.writes.close()


def test_a_write_is_there_when_it_returns(store: Store, stored: Callable[..., int]) -> None:
    one, other = row(), row(SECOND)
    store.writes.commit(one)
    assert stored(one) == 1
    store.writes.commit(row(), other)
    assert stored(other) == 1


def test_those_who_wait_share_a_transaction(
    patient: Store, proxy: Proxy, owner: psycopg.Connection[Any]
) -> None:
    first, others = row(), [(row(),) for _ in range(20)]
    for future in commit_while_one_is_under_way(patient, proxy, first, others):
        future.result()
    keys = [first.key, *(writes[0].key for writes in others)]
    transactions = owner.execute(
        "SELECT xmin::text, count(*) FROM test_first_rows WHERE key = ANY(%s::uuid[])"
        " GROUP BY 1 ORDER BY 2",
        [keys],
    ).fetchall()
    assert [count for _, count in transactions] == [1, 20]


def test_a_bad_row_hits_only_its_owner(
    patient: Store, proxy: Proxy, stored: Callable[..., int]
) -> None:
    there = row()
    patient.writes.commit(there)
    good = [row() for _ in range(8)]
    pair = (row(), row(SECOND))
    torn = (row(), row(SECOND, place=5000))
    others = [
        *((one,) for one in good[:4]),
        (row(key=there.key),),
        pair,
        torn,
        (row(place=5000),),
        (row(word="a\0b"),),
        (row(word={1, 2}),),
        *((one,) for one in good[4:]),
    ]
    futures = commit_while_one_is_under_way(patient, proxy, row(), others)[1:]
    errors = [type(future.exception()) for future in futures]
    nothing = type(None)
    assert errors == [
        *[nothing] * 4,
        *(DuplicateKey, nothing, DataRefused, DataRefused, DataRefused, DataRefused),
        *[nothing] * 4,
    ]
    assert stored(*good, *pair, there) == 11
    assert stored(*torn) == 0  # one caller's rows stand together or not at all
    duplicate = futures[4].exception()
    assert isinstance(duplicate, DuplicateKey)
    assert duplicate.constraint == "test_first_rows_pkey"
    assert patient.circuit.cause == ""


def test_more_callers_than_a_batch_takes(
    patient: Store, proxy: Proxy, stored: Callable[..., int]
) -> None:
    others = [(row(),) for _ in range(BATCH_LIMIT + 5)]
    for future in commit_while_one_is_under_way(patient, proxy, row(), others):
        future.result()
    assert stored(*(writes[0] for writes in others)) == len(others)


@pytest.mark.parametrize("kinds", [(FIRST,), (FIRST, SECOND)], ids=["one kind", "two kinds"])
def test_a_lost_answer_to_commit_makes_no_second_row(
    patient: Store, proxy: Proxy, stored: Callable[..., int], kinds: tuple[Statement, ...]
) -> None:
    patient.writes.commit(*(row(one) for one in kinds))
    writes = [row(one) for one in kinds]
    proxy.lose_next_answer()
    patient.writes.commit(*writes)
    assert stored(*writes) == len(kinds)
    assert patient.circuit.cause == ""


def test_a_connection_that_died_is_replaced(
    store: Store, stored: Callable[..., int], owner: psycopg.Connection[Any]
) -> None:
    store.writes.commit(row())
    assert store.writes._connection is not None
    pid = store.writes._connection.info.backend_pid
    one = row()
    with psycopg.connect(**connection_parameters(), autocommit=True) as same_role:
        same_role.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    store.writes.commit(one)
    assert stored(one) == 1


def test_a_frozen_server_is_given_up_and_found_again(
    store: Store, proxy: Proxy, stored: Callable[..., int]
) -> None:
    store.writes.commit(row())
    proxy.hold()
    unsure, refused, later = row(), row(), row()
    with pytest.raises(StoreUnavailable, match="gave no answer"):
        store.writes.commit(unsure)
    with pytest.raises(StoreUnavailable):
        store.circuit.require()
    before = proxy.answers
    with pytest.raises(StoreUnavailable):  # at once: who came first has paid for all
        store.writes.commit(refused)
    with pytest.raises(StoreUnavailable):
        store.reads.row("SELECT 1")
    assert proxy.answers <= before + 1  # at most the circuit's own knocking
    proxy.release()
    assert wait_until(lambda: store.circuit.cause == "", PATIENCE_S)
    store.writes.commit(later)
    assert (stored(refused), stored(later)) == (0, 1)
    # Nobody knows about the first one, and so it must be asked for.
    store.writes.commit_absent([unsure, later])
    assert stored(unsure, later) == 2


def test_those_behind_a_frozen_writer_do_not_wait_for_ever(store: Store, proxy: Proxy) -> None:
    store.writes.commit(row())
    proxy.hold()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(store.writes.commit, row()) for _ in range(8)]
        assert {type(future.exception(PATIENCE_S)) for future in futures} == {StoreUnavailable}
    assert store.writes._queue == []


def test_without_a_server_a_write_is_refused(migrated_database: None, tmp_path: Path) -> None:
    nowhere = Store({"host": str(tmp_path), "dbname": "x"}, deadline_s=DEADLINE_S)
    with pytest.raises(StoreUnavailable):
        nowhere.writes.commit(row())
    with pytest.raises(StoreUnavailable):
        nowhere.circuit.require()


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    callers=st.lists(
        st.lists(st.integers(0, 15), min_size=1, max_size=4, unique=True), min_size=1, max_size=8
    )
)
def test_each_key_is_stored_once_whoever_comes_first(
    patient: Store, stored: Callable[..., int], callers: list[list[int]]
) -> None:
    """Callers at once with keys that overlap: a caller's rows are in, or it knows they are not."""
    base = uuid.uuid4().int >> 8 << 8
    all_writes = [
        tuple(row(key=str(uuid.UUID(int=base + number))) for number in numbers)
        for numbers in callers
    ]

    def attempt(writes: tuple[Write, ...]) -> StoreError | None:
        try:
            patient.writes.commit(*writes)
        except StoreError as error:
            return error
        return None

    with ThreadPoolExecutor(len(all_writes)) as pool:
        errors = list(pool.map(attempt, all_writes))
    written = [key for key, error in zip(callers, errors, strict=True) if error is None]
    assert all(error is None or isinstance(error, DuplicateKey) for error in errors)
    numbers = [number for caller in written for number in caller]
    assert len(numbers) == len(set(numbers))
    assert stored(*(row(key=str(uuid.UUID(int=base + n))) for n in range(16))) == len(numbers)
    for caller, error in zip(callers, errors, strict=True):
        assert error is None or set(caller) & set(numbers)
