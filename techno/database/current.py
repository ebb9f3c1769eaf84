"""The :class:`~techno.database.store.Store` of the configured database, made on first use."""

from __future__ import annotations

import threading
from typing import Any

from django.conf import settings
from django.db import connections

from techno.database.store import Store

_lock = threading.Lock()
_stores: dict[str, Store] = {}


def connection_parameters() -> dict[str, Any]:
    """Return psycopg's parameters for the database that Django is connected to right now.

    Asked of Django's connection, so that a test database is followed too.
    """
    parameters = connections["default"].get_connection_params()
    return {
        name: value
        for name, value in parameters.items()
        if name not in {"cursor_factory", "context", "prepare_threshold", "isolation_level"}
        and name not in {"pool", "server_side_binding", "assume_role"}
    }


def store() -> Store:
    """Return this process's store for the configured database."""
    name = str(connections.settings["default"]["NAME"])  # what a test run's own database is in too
    found = _stores.get(name)
    if found is None:
        with _lock:
            found = _stores.get(name)
            if found is None:
                found = Store(connection_parameters(), deadline_s=settings.STORE_DEADLINE_S)
                _stores[name] = found
    return found
