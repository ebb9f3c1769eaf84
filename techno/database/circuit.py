"""Knowing that the database is away, so that only the first to notice pays for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psycopg

from techno.database.connection import DeadlineConnection
from techno.database.errors import StoreUnavailable

PROBE_PAUSE_S = 0.25


class Circuit:
    """One process's view of whether PostgreSQL answers.

    Whoever meets an outage calls :meth:`trip`; from then on :meth:`require` refuses at once,
    while one background thread knocks until the server answers a query again. So a frozen
    server costs each process a few waits, not one for every request.
    """

    def __init__(self, connect: Callable[[], DeadlineConnection]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._cause = ""
        self._since_s = 0.0
        #: How many outages there were: a connection that is older than the last one is suspect.
        self.outages = 0

    @property
    def cause(self) -> str:
        """Why the database is held to be away; empty when it is not."""
        return self._cause if self._pid == os.getpid() else ""

    @property
    def away_s(self) -> float:
        """For how many seconds the database has been away; 0 when it is not."""
        return time.monotonic() - self._since_s if self.cause else 0.0

    def require(self) -> None:
        """Raise :class:`StoreUnavailable` when the database is known to be away."""
        cause = self.cause
        if cause:
            raise StoreUnavailable(cause)

    def trip(self, cause: str) -> None:
        """Note that the database is away, and start knocking unless somebody does already."""
        with self._lock:
            knocking = bool(self.cause)
            self._pid = os.getpid()
            self._cause = cause or "the database is away"
            if knocking:
                return
            self._since_s = time.monotonic()
            self.outages += 1
        threading.Thread(target=self._knock, name="database-circuit", daemon=True).start()

    def _knock(self) -> None:
        """Try until one connection answers one query, then let everybody in again."""
        while True:
            time.sleep(PROBE_PAUSE_S)
            try:
                with self._connect() as connection:
                    connection.execute("SELECT 1")
            except psycopg.Error:
                continue
            self._cause = ""
            return
