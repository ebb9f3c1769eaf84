"""Batches: all of it or nothing, whatever fails and when, and the connection stays of use."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from psycopg.pq import TransactionStatus

from techno.database.batch import transact
from techno.database.connection import DeadlineConnection, DeadlineExceeded, connect
from techno.database.current import connection_parameters
from tests import databases

INSERT = "INSERT INTO batched SELECT (r ->> 0)::int FROM jsonb_array_elements(%s::jsonb) AS r"
REFER = "INSERT INTO referring SELECT (r ->> 0)::int FROM jsonb_array_elements(%s::jsonb) AS r"


@pytest.fixture
def connection(migrated_database: None) -> Iterator[DeadlineConnection]:
    with databases.connect_as_owner() as owner:
        owner.execute("CREATE TABLE batched (id integer PRIMARY KEY)")
        owner.execute(
            "CREATE TABLE referring (id integer REFERENCES batched DEFERRABLE INITIALLY DEFERRED)"
        )
        owner.execute("GRANT SELECT, INSERT ON batched, referring TO PUBLIC")
        owner.commit()
        with connect(connection_parameters(), deadline_s=5, name="test") as opened:
            yield opened
        owner.execute("DROP TABLE referring, batched")


def _ids(connection: DeadlineConnection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT id FROM batched ORDER BY id").fetchall()]


def test_one_and_many_statements_are_committed(connection: DeadlineConnection) -> None:
    transact(connection, [(INSERT, b"[[1],[2]]")])
    transact(connection, [(INSERT, b"[[3]]"), (REFER, b"[[3]]"), (INSERT, b"[[4]]")])
    assert _ids(connection) == [1, 2, 3, 4]
    assert connection.info.transaction_status == TransactionStatus.IDLE


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_nothing_of_a_batch_stays_when_one_statement_fails(
    connection: DeadlineConnection, bad: int
) -> None:
    commands = [(INSERT, f"[[{10 + number}]]".encode()) for number in range(3)]
    commands[bad] = (INSERT, b"[[20],[20]]")
    for _ in range(2):  # the second time its statement is prepared already
        with pytest.raises(errors.UniqueViolation) as raised:
            transact(connection, commands)
        assert raised.value.diag.constraint_name == "batched_pkey"
        assert _ids(connection) == []
    transact(connection, [(INSERT, b"[[1]]")])
    assert _ids(connection) == [1]


@pytest.mark.parametrize("before", [[], [(INSERT, b"[[1]]")]])
def test_a_failure_of_the_commit_itself_is_told(
    connection: DeadlineConnection, before: list[tuple[str, bytes]]
) -> None:
    for _ in range(2):  # the second time all are prepared already
        with pytest.raises(errors.ForeignKeyViolation):
            transact(connection, [*before, (REFER, b"[[99]]")])
        assert connection.info.transaction_status == TransactionStatus.IDLE
    assert _ids(connection) == []
    assert connection.execute("SELECT count(*) FROM referring").fetchone() == (0,)


def test_a_statement_that_cannot_be_prepared_leaves_the_connection_of_use(
    connection: DeadlineConnection,
) -> None:
    for _ in range(2):
        with pytest.raises(errors.UndefinedTable):
            transact(connection, [(INSERT, b"[[1]]"), ("INSERT INTO nowhere SELECT %s::text", b"")])
    transact(connection, [(INSERT, b"[[1]]")])
    assert _ids(connection) == [1]


def test_a_large_parameter_passes(connection: DeadlineConnection) -> None:
    transact(connection, [(INSERT, str([[number] for number in range(200_000)]).encode())])
    assert len(_ids(connection)) == 200_000


def test_a_server_that_says_nothing_is_left_and_a_lost_connection_is_told(
    connection: DeadlineConnection,
) -> None:
    connection.deadline_s = 0.3
    with pytest.raises(DeadlineExceeded):
        transact(
            connection,
            [("INSERT INTO batched SELECT 1 FROM pg_sleep(5), (SELECT %s) AS given", b"")],
        )
    assert connection.closed
    with pytest.raises(psycopg.OperationalError):
        transact(connection, [(INSERT, b"[[1]]")])
