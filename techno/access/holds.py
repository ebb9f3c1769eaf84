"""How many requests of one key are under way at once, across all processes and hosts.

Each request of such a key holds one of its places: an advisory lock of PostgreSQL, taken on a
connection that this process keeps for nothing else. A process that dies gives its places back
with its connection, without anybody's doing. It costs two statements a request, and only keys
with such a limit pay them. A pooler between us and the server must pool by session.

When PostgreSQL is away, each process counts its own: a key may then have as many requests under
way in each process, and is still limited.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable

import psycopg
import structlog
from django.conf import settings

from techno.access.sql import statement
from techno.database.connection import DeadlineConnection, connect
from techno.database.current import connection_parameters, store
from techno.database.errors import StoreError

log = structlog.get_logger(__name__)
_RELEASE_SQL = "SELECT pg_advisory_unlock(%s::int, %s::int)"
Release = Callable[[], None]


class Holds:
    """The places that this process holds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: DeadlineConnection | None = None
        #: Places held in the database, by key; and requests under way in this process.
        self._places: dict[str, set[int]] = {}
        self._under_way: dict[str, int] = {}

    def take(self, name: str, most: int) -> Release | None:
        """Take a place of ``name``; return what gives it back, ``None`` when all are taken."""
        with self._lock:
            if self._under_way.get(name, 0) >= most:
                return None
            place: int | None = None
            try:
                place = self._take(name, most)
                if place is None:
                    return None
            except (psycopg.Error, StoreError) as error:
                self._lose()
                log.warning("a limit holds for this process only", key=name, cause=str(error))
            self._under_way[name] = self._under_way.get(name, 0) + 1
            connection = self._connection
        return lambda: self._give_back(name, place, connection)

    def _take(self, name: str, most: int) -> int | None:
        store().circuit.require()
        if self._connection is None or self._connection.closed:
            self._lose()
            self._connection = connect(
                connection_parameters(), deadline_s=settings.STORE_DEADLINE_S, name="techno-holds"
            )
        mine = self._places.setdefault(name, set())
        found = self._connection.execute(
            statement("take_hold"), [most, sorted(mine), _number(name)]
        ).fetchone()
        if found is None:
            return None
        mine.add(int(found[0]))
        return int(found[0])

    def _give_back(
        self, name: str, place: int | None, connection: DeadlineConnection | None
    ) -> None:
        with self._lock:
            left = self._under_way.get(name, 0) - 1
            if left > 0:
                self._under_way[name] = left
            else:
                self._under_way.pop(name, None)
            if place is None or connection is not self._connection or connection is None:
                return  # its session is over, and so is the lock
            try:
                connection.execute(_RELEASE_SQL, [_number(name), place])
                self._places.get(name, set()).discard(place)
                if not self._places.get(name):
                    self._places.pop(name, None)
            except psycopg.Error:
                self._lose()

    def _lose(self) -> None:
        """Close the connection; all its places are free with it."""
        connection, self._connection = self._connection, None
        self._places.clear()
        if connection is not None:
            connection.close()


def _number(name: str) -> int:
    """Return the first number of the lock: the key's name as a signed 32-bit one."""
    return zlib.crc32(f"techno key {name}".encode()) - (1 << 31)


HOLDS = Holds()
