"""Group commit: what several threads want written at the same time becomes one transaction.

A commit costs one flush of the write-ahead log whether it carries one row or fifty. The first
thread that comes becomes the leader and writes at once; those that come meanwhile wait, and the
next leader takes them all. There is no thread of our own and no artificial delay: one caller
alone pays a plain commit, sixty-four share a few.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from techno.database.batch import transact
from techno.database.circuit import Circuit
from techno.database.connection import DeadlineConnection, DeadlineExceeded
from techno.database.errors import (
    DataRefused,
    StoreError,
    StoreUnavailable,
    translate,
)
from techno.governance.frozen import frozen

BATCH_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Statement:
    """One kind of write: ``sql`` takes a single parameter, a JSON array of rows.

    ``exists_sql`` takes a JSON array too, of the rows' fields ``found_by`` (the key alone where
    none are named), and returns the ``key_field`` (as text) of those that are stored already; it
    settles what a commit did whose answer was lost. ``order`` sorts statements within one
    transaction.
    """

    name: str
    sql: str
    exists_sql: str
    key_field: str
    order: int = 0
    found_by: tuple[str, ...] = ()


_STATEMENTS: dict[str, Statement] = {}


def define_statement(
    name: str,
    *,
    sql: str,
    exists_sql: str,
    key_field: str,
    order: int = 0,
    found_by: tuple[str, ...] = (),
) -> Statement:
    """Make a statement that can be found again by its name, as the journal needs to.

    Raises ``ValueError`` when the name is taken.
    """
    if name in _STATEMENTS:
        raise ValueError(f"there are two statements called {name}")
    statement = _STATEMENTS[name] = Statement(name, sql, exists_sql, key_field, order, found_by)
    return statement


def statement_named(name: str) -> Statement:
    """Return the statement of that name. Raises ``KeyError``."""
    return _STATEMENTS[name]


@frozen
class Write:
    """One row for one statement."""

    statement: Statement
    row: dict[str, Any]

    @property
    def key(self) -> str:
        """The row's own key, as text."""
        return str(self.row[self.statement.key_field])


class _Waiter:
    """One caller's writes, and the lock on which it sleeps until they are settled."""

    __slots__ = ("absent_only", "baton", "done", "error", "lead", "writes")

    def __init__(self, writes: tuple[Write, ...], *, absent_only: bool) -> None:
        self.writes = writes
        self.absent_only = absent_only
        self.error: StoreError | None = None
        self.done = False
        self.lead = False
        self.baton = threading.Lock()
        self.baton.acquire()


def _order(kind: tuple[Statement, list[dict[str, Any]]]) -> int:
    return kind[0].order


class GroupCommit:
    """Writes rows durably, batched across the threads of this process.

    ``connect`` opens the one connection that is used, lazily and again after each failure.
    ``circuit`` knows when the server is away; then writers are refused at once. ``wait_s``
    bounds how long a caller waits behind others.
    """

    def __init__(
        self, connect: Callable[[], DeadlineConnection], circuit: Circuit, *, wait_s: float
    ) -> None:
        self._connect = connect
        self._circuit = circuit
        self._wait_s = wait_s
        self._start_over()

    def _start_over(self) -> None:
        """Forget everything that belongs to another process (after a fork)."""
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._queue: list[_Waiter] = []
        self._leading = False
        self._connection: DeadlineConnection | None = None
        self._outages = self._circuit.outages

    def commit(self, *writes: Write) -> None:
        """Return when ``writes`` are committed, all of them in one transaction.

        Raises :class:`StoreUnavailable` when the database cannot take them (they may then have
        been written or not; see ``Statement.exists_sql``), ``DuplicateKey`` or
        ``DataRefused`` when it refuses a row.
        """
        self._commit(_Waiter(writes, absent_only=False))

    def commit_absent(self, writes: Sequence[Write]) -> None:
        """Like :meth:`commit`, passing over those rows that are stored already."""
        self._commit(_Waiter(tuple(writes), absent_only=True))

    def _commit(self, waiter: _Waiter) -> None:
        if self._pid != os.getpid():
            self._start_over()
        with self._mutex:
            self._queue.append(waiter)
            waiter.lead = not self._leading
            self._leading = True
        if not waiter.lead:
            self._await_turn(waiter)
        if waiter.lead and not waiter.done:
            self._lead()
        if waiter.error is not None:
            raise waiter.error

    def _await_turn(self, waiter: _Waiter) -> None:
        """Sleep until somebody settled our writes or handed us the lead."""
        if waiter.baton.acquire(timeout=self._wait_s):
            return
        with self._mutex:
            if waiter.done or waiter.lead:  # settled in the very moment
                return
            if waiter in self._queue:
                self._queue.remove(waiter)
        waiter.done = True
        waiter.error = StoreUnavailable(f"the writer ahead did not finish in {self._wait_s:g} s")

    def _lead(self) -> None:
        """Write one batch, then hand the lead to whoever waits."""
        with self._mutex:
            batch, self._queue = self._queue[:BATCH_LIMIT], self._queue[BATCH_LIMIT:]
        try:
            self._settle(batch)
        except BaseException as error:
            for waiter in batch:
                if waiter.error is None:
                    waiter.error = StoreUnavailable(f"the writer failed: {type(error).__name__}")
            raise
        finally:
            with self._mutex:
                successor = self._queue[0] if self._queue else None
                self._leading = successor is not None
                if successor is not None:
                    successor.lead = True
                    successor.baton.release()
                for waiter in batch:
                    waiter.done = True
                    if not waiter.lead:
                        waiter.baton.release()

    def _settle(self, batch: Sequence[_Waiter]) -> None:
        """Write ``batch`` whole; when a row spoils it, write each caller's part alone."""
        error = self._attempt(batch)
        if error is None:
            return
        if isinstance(error, StoreUnavailable) or len(batch) == 1:
            for waiter in batch:
                waiter.error = error
            return
        for waiter in batch:
            waiter.error = self._attempt([waiter])

    def _attempt(self, batch: Sequence[_Waiter]) -> StoreError | None:
        """Write ``batch`` in one transaction, once more on a new connection if that was stale."""
        if self._circuit.cause:
            return StoreUnavailable(self._circuit.cause)
        plain: list[Write] = []
        unsure: list[Write] = []
        for waiter in batch:
            (unsure if waiter.absent_only else plain).extend(waiter.writes)
        fresh = self._connection is None
        error, hung = self._transact(plain, unsure)
        if isinstance(error, StoreUnavailable) and not fresh and not hung:
            error, hung = self._transact([], [*plain, *unsure])
        if isinstance(error, StoreUnavailable):
            self._circuit.trip(str(error))
        return error

    def _transact(self, plain: list[Write], unsure: list[Write]) -> tuple[StoreError | None, bool]:
        """Write ``plain``, and those of ``unsure`` that are not stored yet.

        Returns what went wrong, and whether the server hung: a connection that died is worth one
        new one, a server that hangs is not.
        """
        try:
            if self._outages != self._circuit.outages:  # what was opened before may be half dead
                self._drop()
            if self._connection is None or self._connection.closed:
                self._outages = self._circuit.outages
                self._connection = self._connect()
            absent = self._absent(self._connection, unsure) if unsure else []
            self._execute(self._connection, [*plain, *absent])
        except psycopg.Error as error:
            translated = translate(error)
            if isinstance(translated, StoreUnavailable):
                self._drop()
            return translated, isinstance(error, DeadlineExceeded)
        except orjson.JSONEncodeError as error:
            return DataRefused(f"a row is not JSON: {error}"), False
        return None, False

    def _execute(self, connection: DeadlineConnection, writes: list[Write]) -> None:
        """Send each kind of write as one statement; several kinds share a transaction."""
        if len(writes) == 1:  # as often as not
            transact(connection, [(writes[0].statement.sql, orjson.dumps([writes[0].row]))])
            return
        kinds: dict[str, tuple[Statement, list[dict[str, Any]]]] = {}
        for write in writes:
            kinds.setdefault(write.statement.name, (write.statement, []))[1].append(write.row)
        ordered = sorted(kinds.values(), key=_order)
        if ordered:
            transact(
                connection,
                [(statement.sql, orjson.dumps(rows)) for statement, rows in ordered],
            )

    def _absent(self, connection: DeadlineConnection, writes: list[Write]) -> list[Write]:
        """Return those writes whose rows are not stored: a lost answer to COMMIT proves nothing."""
        stored: set[tuple[str, str]] = set()
        for statement in {write.statement.name: write.statement for write in writes}.values():
            found_by = statement.found_by or (statement.key_field,)
            rows = [
                {name: write.row[name] for name in found_by}
                for write in writes
                if write.statement is statement
            ]
            found = connection.execute(statement.exists_sql, (orjson.dumps(rows).decode(),))
            stored.update((statement.name, str(key)) for (key,) in found.fetchall())
        return [write for write in writes if (write.statement.name, write.key) not in stored]

    def _drop(self) -> None:
        """Close the connection; the next write opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close the connection. Writers may still come; they open a new one."""
        self._drop()
