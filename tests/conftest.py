"""The databases and services that tests run against.

- ``database``: for tests inside this process (ORM, recorder, reader). Rows of the audit tables
  can never be deleted, so nothing is rolled back or flushed between tests: a test finds its own
  rows by trace_id or session_id and never expects an empty table. Whoever writes through the ORM
  only may use ``@pytest.mark.django_db`` besides, which rolls that back; its ``transaction=True``
  cannot work.
- ``service``: the real ``manage.py serve``, shared by the session. Look at it from outside.
- ``start_service``: for tests that need a service with other settings, or that break it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

from tests import databases, isolation
from tests.leaks import leaks
from tests.service import Service, Services


def pytest_configure(config: pytest.Config) -> None:
    """Load the settings, now that they find our environment; pytest-django does the rest.

    The variable that names them goes again: a worker of pytest-xdist that inherited it would load
    them before it is isolated.
    """
    from django.conf import settings

    os.environ["DJANGO_SETTINGS_MODULE"] = "techno.settings"
    assert settings.VAR_DIR == isolation.VAR_DIR
    del os.environ["DJANGO_SETTINGS_MODULE"]


# A loaded machine is no failure: how long an example takes is told by no test.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Keep what needs a running service out of the fast loop, and begin with it in the whole one.

    Begun late, a long file would leave the other worker with nothing to do. The order within and
    among files stays the random one.
    """
    for item in items:
        if not {"service", "start_service"}.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    result = yield
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    return result


def pytest_unconfigure(config: pytest.Config) -> None:
    """Drop the template on the developer's server; the embedded ones go with their directory."""
    if isolation.EXTERNAL_URL and "PYTEST_XDIST_WORKER" not in os.environ:
        databases.drop_external()


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """Take the place of pytest-django's own test database: ``database`` brings ours."""


@pytest.fixture(autouse=True)
def _no_language_stays() -> Iterator[None]:
    """Forget the language of a page that a test asked for: the next test's texts are English."""
    yield
    from django.utils import translation

    translation.deactivate()


@pytest.fixture(scope="session")
def migrated_database() -> Iterator[None]:
    """Have the database of this process's settings, migrated by the owner, used by the app role."""
    with databases.own_database():
        yield
        from django.db import connections

        from techno.database.current import store

        store().writes.close()
        connections.close_all()


@pytest.fixture
def database(migrated_database: None, django_db_blocker: Any) -> Iterator[None]:
    """Let a test of this process use the migrated database."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="session")
def start_service() -> Iterator[Services]:
    """Start services of one's own: ``with start_service(TECHNO_RUN_SLOTS="1") as service: …``."""
    services = Services()
    yield services
    services.end()


@pytest.fixture(scope="session")
def service(start_service: Services) -> Iterator[Service]:
    """The service that the whole session shares; leave it as you found it.

    Once all tests are done with it, no secret of it may stand anywhere.
    """
    shared = start_service()
    yield shared
    found = leaks(shared)
    assert found == [], "a test of this session made the service tell a secret"
