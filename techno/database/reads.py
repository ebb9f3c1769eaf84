"""Short reads of the hot path: a bounded number of connections, each query with a deadline.

A pool that replaces broken connections by itself, after a pause, has none to give in the moment
in which the server is back. Here whoever finds no healthy connection opens one, in its own
thread, and learns at once whether that is possible.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from techno.database.circuit import Circuit
from techno.database.connection import DeadlineConnection, DeadlineExceeded, connect
from techno.database.errors import StoreSlow, StoreUnavailable, translate
from techno.database.point_query import Parameters, PointQueries

CONNECTIONS_MOST = 8
#: How much of the deadline the server has for itself.
SERVER_SHARE = 0.75
#: How long to wait for one of the connections when all are in use.
TURN_WAIT_S = 1.0
#: A connection that nobody used for so long is closed.
IDLE_MOST_S = 300.0

#: The server forgot, or will not follow, what a connection prepared: another one will do.
_STALE_PLANS = frozenset({"0A000", "26000"})


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection that waits for a reader; ``outages`` is how many there were before it."""

    queries: PointQueries
    outages: int
    since_monotonic_s: float

    def is_old(self) -> bool:
        """Whether what lies between us and the server may have forgotten it."""
        return time.monotonic() - self.since_monotonic_s > IDLE_MOST_S


class Reads:
    """Runs queries on autocommit connections of this process, the most recently used first.

    An exhausted or slow database concerns the caller; one that is away trips ``circuit``.
    """

    def __init__(
        self,
        parameters: dict[str, Any],
        circuit: Circuit,
        *,
        name: str,
        deadline_s: float,
        most: int = CONNECTIONS_MOST,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._parameters = parameters
        self._circuit = circuit
        self._name = name
        self._deadline_s = deadline_s
        self._most = most
        # The server ends a slow query before we give up on the server: the one is the question's
        # fault and concerns its caller, the other concerns everybody.
        limit_ms = int(deadline_s * 1000 * SERVER_SHARE)
        self._settings = {"statement_timeout": f"{limit_ms}ms", **(settings or {})}
        #: Connections of a parent process: neither used nor closed, for closing tells the server.
        self._inherited: list[_Idle] = []
        self._idle: list[_Idle] = []
        self._start_over()

    def _start_over(self) -> None:
        """Forget everything that belongs to another process (after a fork)."""
        self._pid = os.getpid()
        self._turns = threading.BoundedSemaphore(self._most)
        self._inherited += self._idle
        #: Healthy when last seen, the one that was used last at the end.
        self._idle = []

    def rows(self, sql: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """Return all rows of a query, none for a statement without a result.

        Raises :class:`StoreUnavailable`. A connection that turned out to be dead (the server
        restarted) is replaced once: reads may be repeated.
        """
        self._circuit.require()
        if self._pid != os.getpid():
            self._start_over()
        turns = self._turns
        if not turns.acquire(timeout=TURN_WAIT_S):
            raise StoreUnavailable("no database connection became free in time")
        try:
            return self._answer(sql, parameters)
        except psycopg.Error as error:
            translated = translate(error)
            if isinstance(translated, StoreUnavailable) and not isinstance(translated, StoreSlow):
                self._circuit.trip(str(translated))
            raise translated from error
        finally:
            turns.release()

    def row(self, sql: str, parameters: Parameters = None) -> tuple[Any, ...] | None:
        """Return the first row of a query, or ``None``. Raises :class:`StoreUnavailable`."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def _answer(self, sql: str, parameters: Parameters) -> list[tuple[Any, ...]]:
        """Ask on an idle connection, and on a new one when there is none or that was stale."""
        outages = self._circuit.outages
        idle = self._take(outages)
        if idle is not None:
            try:
                return self._ask(idle, outages, sql, parameters)
            except psycopg.Error as error:
                if not _is_stale(error):
                    raise
        fresh = self._connect()
        return self._ask(PointQueries(fresh), outages, sql, parameters)

    def _ask(
        self, queries: PointQueries, outages: int, sql: str, parameters: Parameters
    ) -> list[tuple[Any, ...]]:
        """Ask, and keep the connection if it is still of use."""
        stale = True
        try:
            rows = queries.rows(sql, parameters)
            stale = False
            return rows
        except psycopg.Error as error:
            stale = _is_stale(error)
            raise
        finally:
            if queries.is_reusable and not stale:
                self._give_back(queries, outages)
            else:
                queries.connection.close()

    def _take(self, outages: int) -> PointQueries | None:
        """Return an idle connection; those from before an outage are closed unseen."""
        while True:
            try:
                idle = self._idle.pop()
            except IndexError:
                return None
            if idle.outages == outages and not idle.is_old():
                return idle.queries
            idle.queries.connection.close()

    def _give_back(self, queries: PointQueries, outages: int) -> None:
        """Keep a connection for the next reader, and close one that nobody needed for long."""
        self._idle.append(_Idle(queries, outages, time.monotonic()))
        with contextlib.suppress(IndexError):  # somebody took it in the very moment
            if self._idle[0].is_old():
                self._idle.pop(0).queries.connection.close()

    def _connect(self) -> DeadlineConnection:
        return connect(
            self._parameters,
            deadline_s=self._deadline_s,
            name=self._name,
            settings=self._settings,
        )

    def close(self) -> None:
        """Close what is idle. Readers may still come; they open new connections."""
        while self._idle:
            self._idle.pop().queries.connection.close()


def _is_stale(error: psycopg.Error) -> bool:
    """Whether the connection was lost, or remembers wrongly, while the server may be well."""
    if isinstance(error, DeadlineExceeded):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state.startswith("57P") or state in _STALE_PLANS
