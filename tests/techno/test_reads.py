"""Reads on the real database: right values, a bounded number of connections, and every outage."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from techno.database import point_query, reads
from techno.database.circuit import Circuit
from techno.database.connection import connect
from techno.database.current import connection_parameters
from techno.database.errors import DataRefused, StoreSlow, StoreUnavailable
from techno.database.point_query import PointQueries
from techno.database.reads import Reads
from techno.embedded import APP_ROLE, EmbeddedPostgres
from techno.embedded.family import find_family
from techno.embedded.layout import Layout
from techno.processes import wait_until
from tests import databases, isolation

DEADLINE_S = 5.0
PATIENCE_S = 60.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BACKEND = "SELECT pg_backend_pid()"

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


class Bench:
    """Reads with a circuit of their own, and what was opened for them."""

    def __init__(self, parameters: dict[str, Any], *, most: int, deadline_s: float) -> None:
        self.circuit = Circuit(lambda: connect(parameters, deadline_s=deadline_s, name="probe"))
        self.reads = Reads(
            parameters, self.circuit, name="test-reads", deadline_s=deadline_s, most=most
        )

    def all_at_once(self, number: int, sql: str = BACKEND) -> list[Any]:
        """Ask ``sql`` from so many threads, each on a connection of its own if there are enough."""
        together = threading.Barrier(number)

        def ask() -> Any:
            together.wait(PATIENCE_S)
            return self.reads.row(f"{sql}, pg_sleep(0.1)")

        with ThreadPoolExecutor(number) as pool:
            return [future.result() for future in [pool.submit(ask) for _ in range(number)]]


@contextmanager
def opened(
    parameters: dict[str, Any], *, most: int = 4, deadline_s: float = DEADLINE_S
) -> Iterator[Bench]:
    bench = Bench(parameters, most=most, deadline_s=deadline_s)
    yield bench
    bench.reads.close()


@pytest.fixture
def bench(migrated_database: None) -> Iterator[Bench]:
    with opened(connection_parameters()) as made:
        yield made


@pytest.fixture(scope="module")
def queries(migrated_database: None) -> Iterator[PointQueries]:
    with connect(connection_parameters(), deadline_s=DEADLINE_S, name="test") as connection:
        yield PointQueries(connection)


@settings(deadline=None)
@given(
    document=json_values,
    words=st.lists(texts, max_size=3),
    number=st.none() | st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False),
    moment=st.integers(-(10**10), 10**11).map(lambda seconds: EPOCH + timedelta(seconds=seconds)),
    identity=st.none() | st.uuids(),
    flag=st.booleans(),
    raw=st.binary(max_size=20),
)
def test_values_pass_both_ways_as_a_cursor_passes_them(
    queries: PointQueries,
    document: Any,
    words: list[str],
    number: int | None,
    real: float,
    moment: datetime,
    identity: Any,
    flag: bool,
    raw: bytes,
) -> None:
    sql = (
        "SELECT %s::jsonb, %s::text[], %s::int8, %s::float8, %s::timestamptz, %s::uuid, %s::bool,"
        " %s::bytea, NULL, 1.5::numeric, '{NULL,x}'::text[], interval '1 day', 'plain %%'"
    )
    values = [Jsonb(document), words, number, real, moment, identity, flag, raw]
    expected = queries.connection.execute(sql, values).fetchall()
    assert queries.rows(sql, values) == expected
    assert expected[0][:8] == (document, words, number, real, moment, identity, flag, raw)


def test_placeholders_are_numbered_and_named(queries: PointQueries) -> None:
    sql = "SELECT %(b)s::text, %(a)s::int, %(b)s::text || '%%'"
    assert queries.rows(sql, {"a": 1, "b": "x"}) == [("x", 1, "x%")]
    assert queries.rows("SELECT '100%', '%s'") == [("100%", "%s")]
    assert queries.rows("SELECT generate_series(1, %s)", [3]) == [(1,), (2,), (3,)]
    assert queries.rows("SET statement_timeout = 0") == []
    with pytest.raises(psycopg.ProgrammingError):
        queries.rows("SELECT %s", [1, 2])


def test_a_failure_leaves_the_connection_of_use(queries: PointQueries) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.DivisionByZero):
            queries.rows("SELECT 1 / %s::int", [0])
        with pytest.raises(psycopg.errors.UndefinedTable):
            queries.rows("SELECT * FROM nowhere")
        assert queries.is_reusable
    assert queries.rows("SELECT 1 / %s::int", [1]) == [(1,)]


def test_the_last_one_used_is_used_next_and_their_number_is_bounded(bench: Bench) -> None:
    backends = {pid for pid, _ in bench.all_at_once(12)}
    assert 1 <= len(backends) <= 4
    assert len({bench.reads.row(BACKEND) for _ in range(5)}) == 1


def test_who_finds_no_free_connection_is_refused_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "TURN_WAIT_S", 0.01)
    for _ in range(4):
        assert bench.reads._turns.acquire(timeout=PATIENCE_S)
    with pytest.raises(StoreUnavailable, match="became free"):
        bench.reads.rows("SELECT 1")
    assert bench.circuit.cause == ""
    bench.reads._turns.release(4)
    assert bench.reads.rows("SELECT 1") == [(1,)]


def test_refusals_are_told_apart(bench: Bench) -> None:
    with pytest.raises(DataRefused):
        bench.reads.rows("SELECT 1 / 0")
    with opened(connection_parameters(), deadline_s=1.0) as short, pytest.raises(StoreSlow):
        short.reads.rows("SELECT pg_sleep(30)")
    assert bench.circuit.cause == ""


def test_a_table_that_was_changed_is_read_as_it_is_now(bench: Bench) -> None:
    with databases.connect_as_owner() as owner:
        owner.execute("CREATE TABLE changing (a integer)")
        owner.execute("INSERT INTO changing VALUES (1)")
        owner.execute("GRANT SELECT ON changing TO PUBLIC")
        assert bench.reads.rows("SELECT * FROM changing") == [(1,)]
        owner.execute("ALTER TABLE changing ADD b text DEFAULT 'new'")
        assert bench.reads.rows("SELECT * FROM changing") == [(1, "new")]
        owner.execute("DROP TABLE changing")


def test_a_connection_that_prepared_too_much_is_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(point_query, "PREPARED_MOST", 3)
    backends = {bench.reads.row(f"{BACKEND} + 0 * {number}") for number in range(6)}
    assert len(backends) == 2


def test_what_was_idle_for_long_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {pid for pid, _ in bench.all_at_once(4)}
    monkeypatch.setattr(reads, "IDLE_MOST_S", -1.0)
    (backend,) = bench.reads.row(BACKEND) or ()
    assert backend not in before
    assert bench.reads._idle == []


def test_a_lost_connection_is_replaced_unnoticed(bench: Bench) -> None:
    backend = bench.reads.row(BACKEND)
    with psycopg.connect(**connection_parameters(), autocommit=True) as same_role:
        same_role.execute("SELECT pg_terminate_backend(%s, 5000)", backend)
    assert bench.reads.row(BACKEND) != backend
    assert bench.circuit.cause == ""


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has other threads
def test_a_child_process_opens_its_own(bench: Bench) -> None:
    backend = bench.reads.row(BACKEND)
    child = os.fork()
    if child == 0:
        try:
            other = bench.reads.row(BACKEND)
            os._exit(0 if other and other != backend else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert bench.reads.row(BACKEND) == backend


# -- a server of its own, to be broken -------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    databases.copy_embedded(isolation.OWN_DIRECTORY / "reads")
    postgres = EmbeddedPostgres(isolation.OWN_DIRECTORY / "reads")
    postgres.start()
    yield postgres
    postgres.stop(hurry=True)


@pytest.fixture
def broken(server: EmbeddedPostgres) -> Iterator[Bench]:
    with opened(server.connection(APP_ROLE)) as made:
        yield made


@pytest.mark.slow
def test_after_a_restart_nobody_is_refused(server: EmbeddedPostgres, broken: Bench) -> None:
    assert len({pid for pid, _ in broken.all_at_once(4)}) > 1
    server.stop(hurry=True)
    server.start()
    assert len(broken.all_at_once(4)) == 4
    assert broken.circuit.outages == 0


@pytest.mark.slow
def test_once_the_server_is_back_every_read_is_answered(
    server: EmbeddedPostgres, broken: Bench
) -> None:
    broken.all_at_once(4)
    server.stop(hurry=True)
    with pytest.raises(StoreUnavailable):
        broken.reads.row("SELECT 1")
    server.start()
    assert wait_until(lambda: not broken.circuit.cause, PATIENCE_S)
    assert len(broken.all_at_once(4)) == 4
    assert broken.circuit.outages == 1


@pytest.mark.slow
def test_a_frozen_server_is_given_up_and_its_connections_with_it(
    broken: Bench, frozen: Callable[[], Any]
) -> None:
    before = {pid for pid, _ in broken.all_at_once(4)}
    with frozen():
        began_s = time.monotonic()
        with pytest.raises(StoreUnavailable, match="gave no answer"):
            broken.reads.row("SELECT 1")
        for _ in range(20):  # who came first has paid for all
            with pytest.raises(StoreUnavailable):
                broken.reads.row("SELECT 1")
        assert time.monotonic() - began_s < PATIENCE_S
    assert wait_until(lambda: not broken.circuit.cause, PATIENCE_S)
    assert before.isdisjoint(pid for pid, _ in broken.all_at_once(4))


@pytest.fixture
def frozen(server: EmbeddedPostgres) -> Callable[[], Any]:
    @contextmanager
    def freeze() -> Iterator[None]:
        var_dir = isolation.OWN_DIRECTORY / "reads"
        family = find_family(Layout(var_dir.resolve(), 18))
        assert family
        for process in family:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in family:
                os.kill(process.pid, signal.SIGCONT)

    return freeze
