"""Short reads of the hot path: a few pooled connections, each with a deadline."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from techno.database.circuit import Circuit
from techno.database.connection import CONNECT_TIMEOUT_S, DeadlineConnection, configure
from techno.database.errors import StoreSlow, StoreUnavailable, translate

POOL_LEAST = 1
POOL_MOST = 8
#: How much of the deadline the server has for itself.
SERVER_SHARE = 0.75
POOL_WAIT_S = 1.0

Parameters = Sequence[Any] | Mapping[str, Any]


class Reads:
    """Runs queries on pooled autocommit connections of this process."""

    def __init__(
        self,
        parameters: dict[str, Any],
        circuit: Circuit,
        *,
        deadline_s: float,
        most: int = POOL_MOST,
    ) -> None:
        self._parameters = {"connect_timeout": CONNECT_TIMEOUT_S, **parameters}
        self._circuit = circuit
        self._deadline_s = deadline_s
        self._most = most
        self._lock = threading.Lock()
        self._pid = 0
        self._pool: ConnectionPool[DeadlineConnection] | None = None

    def _configure(self, connection: DeadlineConnection) -> None:
        """Set up a new pooled connection."""
        connection.autocommit = True
        connection.deadline_s = self._deadline_s
        configure(connection)
        # The server ends a slow query before we give up on the server: the one is the question's
        # fault and concerns its caller, the other concerns everybody.
        limit_ms = int(self._deadline_s * 1000 * SERVER_SHARE)
        connection.execute(f"SET statement_timeout = {limit_ms}")

    def _open(self) -> ConnectionPool[DeadlineConnection]:
        """Return this process's pool, opened on first use (never shared across a fork)."""
        pool = self._pool
        if pool is not None and self._pid == os.getpid():
            return pool
        with self._lock:
            if self._pool is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._pool = ConnectionPool(
                    kwargs=self._parameters,
                    connection_class=DeadlineConnection,
                    configure=self._configure,
                    min_size=POOL_LEAST,
                    max_size=self._most,
                    timeout=POOL_WAIT_S,
                    name="techno-reads",
                    open=True,
                )
            return self._pool

    def rows(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query. Raises :class:`StoreUnavailable`.

        A connection that turned out to be dead (the server restarted) is replaced once: reads
        may be repeated.
        """
        self._circuit.require()
        pool = self._open()
        try:
            try:
                return self._fetch(pool, sql, parameters)
            except psycopg.OperationalError as error:
                if error.sqlstate is not None and not error.sqlstate.startswith("57P"):
                    raise
                if type(error).__name__ in {"DeadlineExceeded", "PoolTimeout"}:
                    raise
                pool.check()
                return self._fetch(pool, sql, parameters)
        except PoolTimeout as error:
            self._circuit.trip("no database connection became free in time")
            raise StoreUnavailable("no database connection became free in time") from error
        except psycopg.Error as error:
            translated = translate(error)
            if isinstance(translated, StoreUnavailable) and not isinstance(translated, StoreSlow):
                self._circuit.trip(str(translated))
            raise translated from error

    def row(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """Return the first row of a query, or ``None``. Raises :class:`StoreUnavailable`."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    @staticmethod
    def _fetch(
        pool: ConnectionPool[DeadlineConnection], sql: str, parameters: Parameters
    ) -> list[tuple[Any, ...]]:
        with pool.connection() as connection:
            return connection.execute(sql, parameters or None).fetchall()
