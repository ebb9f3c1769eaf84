"""The ORM's connections, on :class:`~techno.database.connection.DeadlineConnection`.

A portal page that asks a frozen server must end with an error, not hold its thread for ever.
"""

from __future__ import annotations

import threading
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from django.utils.asyncio import async_unsafe
from psycopg import IsolationLevel

from techno import env
from techno.database.connection import (
    COMMON_SETTINGS,
    CONNECT_TIMEOUT_S,
    DeadlineConnection,
)

#: Threads that have opened a connection. A number may be another thread's later: then one looks
#: after connections in vain.
_threads: set[int] = set()


def has_connected() -> bool:
    """Whether the ORM has, or had, a connection in this thread."""
    return threading.get_ident() in _threads


class DatabaseWrapper(base.DatabaseWrapper):
    """``django.db.backends.postgresql`` whose connections give up on a silent server."""

    @async_unsafe
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open a connection. Raises ``OperationalError`` within the connection timeout."""
        _threads.add(threading.get_ident())
        parameters = {"connect_timeout": CONNECT_TIMEOUT_S, **conn_params}
        isolation = self.settings_dict["OPTIONS"].get("isolation_level")
        self.isolation_level = IsolationLevel(
            isolation if isolation is not None else IsolationLevel.READ_COMMITTED
        )
        parameters.pop("isolation_level", None)
        parameters.pop("pool", None)
        connection = DeadlineConnection.connect(**parameters)
        # As the owner of the tables this process migrates, and answers nobody.
        patient = env.owner_role()
        connection.deadline_s = (
            settings.MIGRATION_DEADLINE_S if patient else settings.PORTAL_DEADLINE_S
        )
        if isolation is not None:
            connection.isolation_level = self.isolation_level
        return connection

    @async_unsafe
    def init_connection_state(self) -> None:
        """Prepare a connection that was just opened, as Django does and with our own settings."""
        super().init_connection_state()
        with self.cursor() as cursor:
            for name, value in COMMON_SETTINGS.items():
                cursor.execute(f"SET {name} = {value}")
