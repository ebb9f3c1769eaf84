"""Partitioning an adopted table while it is written to.

The rows are copied in the order of their ids, a batch at a time, into a partitioned table of the
same columns. Ids of another writer are random, so rows can arrive behind the copy: those are
looked for once more while everybody goes on writing, and the few that came after that look are
brought over under the lock under which the two tables change names. Each step can be interrupted
and done again.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg

from audit.sql import statement

BATCH_ROWS = 20_000
LOCK_WAIT_MS = 300
LOCK_PAUSE_S = 0.5
LOCK_ATTEMPTS = 60


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


def copy_missing(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Copy what came behind the copy; return how many rows, and the leaf from which on others can
    be missing still.

    A row that this look did not see was committed after it, so it got no leaf below that one.
    """
    row = connection.execute("SELECT size FROM audit_tree").fetchone()
    mark = int(row[0]) if row else 0
    return connection.execute(statement("copy_missing_rows")).rowcount, mark


def swap(connection: psycopg.Connection[Any], mark: int) -> int:
    """Bring over what came since ``mark`` and change the names; return how many rows that was.

    Writers wait for the length of that last pass. Who waits for the lock lets nobody past, so each
    attempt is short, and there are many. Raises ``psycopg.errors.LockNotAvailable`` when somebody
    holds the table all the time; nothing was changed then.
    """
    for _ in range(LOCK_ATTEMPTS):
        try:
            return _swap(connection, mark)
        except psycopg.errors.LockNotAvailable:
            time.sleep(LOCK_PAUSE_S)
    return _swap(connection, mark)


def _swap(connection: psycopg.Connection[Any], mark: int) -> int:
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_WAIT_MS}ms"])
        connection.execute("LOCK TABLE audit_logs IN ACCESS EXCLUSIVE MODE")
        late = connection.execute(statement("copy_late_rows"), [mark]).rowcount
        connection.execute(statement("swap_partitioned"))
    return late
