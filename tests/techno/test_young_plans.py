"""A plan made while a table was small does not stay while the table grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from techno.database.batch import _name, transact
from techno.database.connection import PLANS_ANEW_AFTER, DeadlineConnection, connect
from techno.database.current import connection_parameters, store
from techno.database.point_query import PointQueries
from techno.database.store import WRITE_SETTINGS
from tests import databases

FIND = "SELECT b FROM growing WHERE a = %s"
CHANGE = "UPDATE growing SET b = 1 WHERE a = (%s::jsonb ->> 0)::int"
#: So many uses and the server plans for all parameters alike, and keeps that plan.
UNTIL_KEPT = 7


@pytest.fixture
def connection(migrated_database: None) -> Iterator[DeadlineConnection]:
    """A connection with a table of one row, of which the planner knows that it has one."""
    with databases.connect_as_owner() as owner:
        owner.autocommit = True
        owner.execute(
            "CREATE TABLE growing (a integer PRIMARY KEY, b integer)"
            " WITH (autovacuum_enabled = off)"  # it would have all plans made anew
        )
        owner.execute("GRANT SELECT, INSERT, UPDATE ON growing TO PUBLIC")
        owner.execute("INSERT INTO growing VALUES (0, 0)")
        owner.execute("ANALYZE growing")
        with connect(connection_parameters(), deadline_s=10, name="test") as opened:
            yield opened
        owner.execute("DROP TABLE growing")


def _plan(connection: DeadlineConnection, name: str, parameter: str) -> str:
    lines = connection.execute(f"EXPLAIN EXECUTE {name}({parameter})", prepare=False).fetchall()
    return "\n".join(line for (line,) in lines)


def _is_planned_anew(connection: DeadlineConnection, use: Callable[[], None], plan: str) -> None:
    for _ in range(UNTIL_KEPT):
        use()
    name, parameter = plan.split(maxsplit=1)
    assert "Seq Scan" in _plan(connection, name, parameter)
    connection.execute("INSERT INTO growing SELECT n, 0 FROM generate_series(1, 50000) AS n")
    assert "Seq Scan" in _plan(connection, name, parameter), "the server plans anew by itself"
    for _ in range(PLANS_ANEW_AFTER - UNTIL_KEPT):
        use()
    assert "Index Scan" in _plan(connection, name, parameter)


def test_questions(connection: DeadlineConnection) -> None:
    queries = PointQueries(connection)

    def ask() -> None:
        assert queries.rows(FIND, [0])

    _is_planned_anew(connection, ask, "techno_read_0 0")


def test_writes(connection: DeadlineConnection) -> None:
    _is_planned_anew(
        connection,
        lambda: transact(connection, [(CHANGE, b"[0]")]),
        f"{_name(CHANGE).decode()} '[0]'",
    )


def test_writes_are_planned_once_however_costly_their_plan_becomes(
    connection: DeadlineConnection,
) -> None:
    """What plans cost while a table was small is no reason for making one for each batch."""
    change = "UPDATE growing SET b = 1 WHERE b = (%s::jsonb ->> 0)::int"

    def made_for_one_batch() -> int:
        found = connection.execute(
            "SELECT custom_plans FROM pg_prepared_statements WHERE name = %s",
            [_name(change).decode()],
        ).fetchall()
        return sum(count for (count,) in found)

    def use() -> None:
        for _ in range(UNTIL_KEPT):
            transact(connection, [(change, b"[2]")])

    use()
    while_small = made_for_one_batch()
    connection.execute("INSERT INTO growing SELECT n, 0 FROM generate_series(1, 50000) AS n")
    connection.execute("DISCARD PLANS", prepare=False)
    use()
    assert made_for_one_batch() >= while_small + UNTIL_KEPT - 1, "the server keeps one by itself"
    for name, value in WRITE_SETTINGS.items():
        connection.execute(f"SET {name} = {value}", prepare=False)
    before = made_for_one_batch()
    use()
    assert made_for_one_batch() == before


def test_the_writer_is_told_so(migrated_database: None) -> None:
    with store().writes._connect() as writer:
        assert writer.execute("SHOW plan_cache_mode").fetchall() == [("force_generic_plan",)]


def test_ever_more_rarely(connection: DeadlineConnection) -> None:
    discards = []
    queries = PointQueries(connection)
    execute = connection.execute

    def noting(query: str, **options: bool) -> object:
        discards.append((query, uses))
        return execute(query, **options)

    connection.execute = noting  # type: ignore[method-assign, assignment]
    for number in range(1, 1025):
        uses = number
        queries.rows(FIND, [0])
    assert discards == [("DISCARD PLANS", uses) for uses in (16, 64, 256, 1024)]
