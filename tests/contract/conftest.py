"""What the contract's tests share. ``produces`` marks a test that makes a code appear."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.contract.promises import Promises
from tests.service import Service


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "produces(code, …): an answer from outside carries these reason codes"
    )


@pytest.fixture(autouse=True)
def _codes_really_appeared(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold a test that claims to produce codes to its claim."""
    claimed = {code for mark in request.node.iter_markers("produces") for code in mark.args}
    Promises.seen.clear()
    yield
    report = getattr(request.node, "outcome", None)
    if report == "passed":
        assert claimed <= Promises.seen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if call.when == "call":
        item.outcome = report.outcome  # type: ignore[attr-defined]
    return report


@pytest.fixture
def promises(service: Service) -> Promises:
    """The contract, held against the shared service."""
    return Promises(service)


SCOPES = ("execute", "audit:read", "diagnostics:read")
_ISSUE = """
import json
from techno.access.issue import issue_key
print(json.dumps({name: issue_key(label=name, **wanted).text for name, wanted in %r.items()}))
"""


@pytest.fixture(scope="session")
def keys(service: Service) -> dict[str, str]:
    """Keys of the shared service: one for each scope alone, ``actions`` that may run two actions
    only, and a ``second`` that may do everything. Made by one process, because each costs time.
    """
    wanted: dict[str, dict[str, object]] = {scope: {"scopes": [scope]} for scope in SCOPES}
    wanted["actions"] = {"scopes": SCOPES, "allowed_actions": ["TRUE", "NOT_YET_THERE"]}
    wanted["second"] = {"scopes": SCOPES}
    printed = service.manage("shell", "-v", "0", "-c", _ISSUE % wanted).stdout
    issued: dict[str, str] = json.loads(printed.splitlines()[-1])
    service.known_secrets.extend(issued.values())
    return issued


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    """A client of the shared service with a key that may do everything."""
    with service.client() as client:
        yield client
