"""A browser of somebody who may do everything, and an ear for what is said to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from django.test import Client


@pytest.fixture
def admin_client(database: None) -> Client:
    """The browser of somebody who may do everything."""
    from tests.portal.making import client_of, person

    return client_of(person(superuser=True))


@pytest.fixture
def listen(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], AbstractContextManager[list[str]]]:
    """Listen to every statement that this process sends, on whichever connection."""

    @contextmanager
    def listening() -> Iterator[list[str]]:
        heard: list[str] = []
        execute = psycopg.Cursor.execute

        def overheard(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
            heard.append(query if isinstance(query, str) else str(query))
            return execute(self, query, *args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(psycopg.Cursor, "execute", overheard)
            yield heard

    return listening
