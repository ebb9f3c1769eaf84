"""Who may ask: keys that are good, bad, narrow, ended, and from the environment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.contract import wire
from tests.contract.promises import Promises
from tests.service import Service, Services

NO_KEY = ["G0_auth_not_configured"]
DENIED = ["G2_scope_denied"]
REVOCATION_LIMIT_S = 5.0
ENVIRONMENT_KEY = "an environment key of decent length"
NEEDS = {
    "/api/execute": "execute",
    "/process": "execute",
    "/api/audit": "audit:read",
    "/audit/fetch": "audit:read",
    "/api/memory": "diagnostics:read",
    "/api/diagnostic/metrics": "diagnostics:read",
}


def ask(client: httpx.Client, path: str, command: str = "TRUE") -> httpx.Response:
    if NEEDS[path] == "execute":
        return client.post(path, json={"command": command})
    return client.get(path)


def other_last_character(key: str) -> str:
    return key[:-1] + ("A" if key[-1] != "A" else "B")


def bad_keys(key: str) -> dict[str, str | bytes]:
    brand, prefix, secret = key.split("_")
    return {
        "empty": "",
        "short": "x",
        "cut": key[:-1],
        "longer": key + "x",
        "too long": "k" * 257,
        "very long": key + "k" * 5000,
        "another checksum": other_last_character(key),
        "another brand": f"other_{prefix}_{secret}",
        "another secret": f"{brand}_{prefix}_{secret[::-1]}",
        "an unknown prefix": "techno_ZZZZZZZZ_" + "a" * 49,
        "lower case": key.lower(),
        "latin": "clé".encode("latin-1"),
        "UTF-8": "ключ".encode(),
        "a control character": key.encode()[:-1] + b"\x01",
        "SQL": "' OR 1=1 --",
        "twice in one": f"{key},{key}",
    }


@pytest.mark.produces(*NO_KEY)
@pytest.mark.parametrize("path", NEEDS)
def test_without_a_key(promises: Promises, service: Service, path: str) -> None:
    with service.client(key="") as client:
        answer = ask(client, path)
    body = promises.held(answer, 401, "BLOCKED", NO_KEY)
    assert answer.headers["WWW-Authenticate"]
    assert promises.row(body["trace_id"])["key"] == ""


def test_a_bad_key_is_refused_and_never_stored(promises: Promises, service: Service) -> None:
    messages = set()
    for name, key in bad_keys(service.key).items():
        answer = wire.ask(service, "GET", "/api/memory", [("X-API-Key", key)])
        if name == "a control character" and answer.status_code == 400:
            continue  # no header may hold it: the server does not read further
        body = promises.held(answer, 401, "BLOCKED", NO_KEY)
        messages.add(body["message"])
        row = promises.row(body["trace_id"])
        assert row["key"] == ""
        assert service.key.split("_")[2] not in str(row)
    assert len(messages) == 1  # which of the causes it was is for the trace's readers only


def test_two_keys_are_none(promises: Promises, service: Service) -> None:
    headers = [("X-API-Key", service.key), ("X-API-Key", service.key)]
    answer = wire.ask(service, "GET", "/api/memory", headers)
    promises.held(answer, 401, "BLOCKED", NO_KEY)


@pytest.mark.parametrize(
    "header", ["Authorization", "X-Api_Key", "Cookie", "X_API_KEY", "Proxy-Authorization"]
)
def test_a_key_elsewhere_is_none(promises: Promises, service: Service, header: str) -> None:
    answer = wire.ask(service, "GET", f"/api/memory?api_key={service.key}", [(header, service.key)])
    body = promises.held(answer, 401, "BLOCKED", NO_KEY)
    assert service.key not in str(promises.row(body["trace_id"]))


@pytest.mark.produces(*DENIED)
@pytest.mark.parametrize("path", NEEDS)
def test_a_key_opens_what_it_was_issued_for(
    promises: Promises, service: Service, keys: dict[str, str], path: str
) -> None:
    for scope in set(NEEDS.values()):
        with service.client(keys[scope]) as client:
            answer = ask(client, path)
        if scope == NEEDS[path]:
            body = promises.held(answer, 200)
        else:
            body = promises.held(answer, 403, "BLOCKED", DENIED)
        assert promises.row(body["trace_id"])["key"] == keys[scope].split("_")[1]


@pytest.mark.produces(*DENIED)
def test_a_key_runs_only_its_actions(
    promises: Promises, service: Service, keys: dict[str, str]
) -> None:
    with service.client(keys["actions"]) as client:
        promises.held(ask(client, "/api/execute"), 200)
        # Whether another action exists is none of this key's business.
        for command in ("GET_STATUS", "FORMAT_DISK", "DISABLED"):
            answer = ask(client, "/api/execute", command)
            promises.held(answer, 403, "BLOCKED", DENIED)
        answer = ask(client, "/api/execute", "NOT_YET_THERE")
        promises.held(answer, 200, "BLOCKED", ["G8_unknown_action"])


@pytest.mark.slow
def test_an_expired_key(promises: Promises, service: Service) -> None:
    key = service.issue_key("--days", "1")
    with service.client(key) as client:
        promises.held(client.get("/api/memory"), 200)
        service.sql(
            "UPDATE access_api_keys SET expires_at = now() WHERE prefix = %s", [key.split("_")[1]]
        )
        time.sleep(REVOCATION_LIMIT_S)
        promises.held(client.get("/api/memory"), 401, "BLOCKED", NO_KEY)


@pytest.mark.slow
def test_a_revocation_holds_on_every_worker(promises: Promises, service: Service) -> None:
    """Connections are kept open to all workers, whose memories have all seen the key."""
    key = service.issue_key()
    clients = [service.client(key) for _ in range(8)]
    try:
        for client in clients * 2:
            assert client.get("/api/memory").status_code == 200
        service.manage("apikey", "revoke", key.split("_")[1])
        time.sleep(REVOCATION_LIMIT_S)
        for client in clients * 2:
            promises.held(client.get("/api/memory"), 401, "BLOCKED", NO_KEY)
    finally:
        for client in clients:
            client.close()


@pytest.mark.slow
def test_the_use_of_a_key_is_noted(service: Service) -> None:
    key = service.issue_key(label="noted")
    with service.client(key) as client:
        client.get("/api/memory")
    prefix = key.split("_")[1]
    found = service.sql(
        "SELECT last_used_at IS NOT NULL, digest LIKE '%%' || %s || '%%' FROM access_api_keys"
        " WHERE prefix = %s",
        [key, prefix],
    )
    assert found == [(True, False)]
    assert key not in service.full_output
    listed = service.manage("apikey", "list").stdout
    assert prefix in listed
    assert key not in listed


# -- the key of the environment --------------------------------------------------------------------


@pytest.fixture(scope="module")
def keyed_by_environment(start_service: Services) -> Iterator[Service]:
    with start_service(TECHNO_API_KEY=ENVIRONMENT_KEY, TECHNO_WORKERS="1") as service:
        yield service


@pytest.mark.slow
def test_the_key_of_the_environment_opens_everything(keyed_by_environment: Service) -> None:
    promises = Promises(keyed_by_environment)
    assert keyed_by_environment.sql("SELECT 1 FROM access_api_keys") == []
    with keyed_by_environment.client(ENVIRONMENT_KEY) as client:
        for path in NEEDS:
            body = promises.held(ask(client, path), 200)
            assert promises.row(body["trace_id"])["key"] == "env"
    with keyed_by_environment.client(ENVIRONMENT_KEY + "x") as client:
        promises.held(client.get("/api/memory"), 401, "BLOCKED", NO_KEY)
    assert ENVIRONMENT_KEY not in keyed_by_environment.full_output


@pytest.mark.slow
@pytest.mark.produces(*NO_KEY)
def test_with_no_key_anywhere_nobody_gets_in(start_service: Services) -> None:
    with start_service(TECHNO_WORKERS="1") as service:
        service.manage("apikey", "revoke", service.key.split("_")[1])
        service.sql("DELETE FROM access_api_keys")
        promises = Promises(service)
        time.sleep(REVOCATION_LIMIT_S)
        for key in ("", service.key, "anything"):
            with service.client(key) as client:
                promises.held(client.get("/api/memory"), 401, "BLOCKED", NO_KEY)
