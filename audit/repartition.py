"""Partitioning an adopted table while it is written to.

The rows are copied in the order of their ids, a batch at a time, into a partitioned table of the
same columns. Ids of another writer are random, so rows can arrive behind the copy; a last pass
under a lock brings them over before the two tables change names. Each step can be interrupted
and done again.
"""

from __future__ import annotations

from typing import Any

import psycopg

from audit.sql import statement

BATCH_ROWS = 20_000


def is_partitioned(connection: psycopg.Connection[Any]) -> bool:
    """Whether ``audit_logs`` is a partitioned table."""
    row = connection.execute(
        "SELECT relkind = 'p' FROM pg_class WHERE oid = 'audit_logs'::regclass"
    ).fetchone()
    return bool(row and row[0])


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make the partitioned table, with a partition for each month that has rows of ours."""
    connection.execute(statement("prepare_partitioned"))


def copy_batch(connection: psycopg.Connection[Any]) -> int:
    """Copy the next rows, after the last id that was copied; return how many."""
    return connection.execute(statement("copy_to_partitioned"), [BATCH_ROWS]).rowcount


def swap(connection: psycopg.Connection[Any]) -> int:
    """Bring over what came meanwhile and change the names; return how many rows that was.

    Writers wait for the length of the last pass.
    """
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '30s'")
        connection.execute("LOCK TABLE audit_logs IN ACCESS EXCLUSIVE MODE")
        late = connection.execute(statement("copy_late_rows")).rowcount
        connection.execute(statement("swap_partitioned"))
    return late
