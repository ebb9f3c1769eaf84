"""One service for all tests of the fleet, with a worker of its own and actions to be watched."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.contract.promises import Promises
from tests.fleet.scene import ACTIONS, Scene
from tests.service import Services


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "produces(code, …): an answer from outside carries these reason codes"
    )


@pytest.fixture(scope="session")
def fleet(start_service: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("fleet")
    with start_service(TECHNO_WORKER_QUEUES="default", TECHNO_WORKER_CONCURRENCY="4") as service:
        path = service.directory / "fleet.toml"
        path.write_text(ACTIONS.replace("DIRECTORY", str(directory)), encoding="utf-8")
        service.manage("actions", "load", str(path))
        yield Scene(service, directory)


@pytest.fixture
def client(fleet: Scene) -> Iterator[httpx.Client]:
    with fleet.service.client() as client:
        yield client


@pytest.fixture
def promises(fleet: Scene) -> Promises:
    return Promises(fleet.service)
