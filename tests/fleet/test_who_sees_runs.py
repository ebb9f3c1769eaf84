"""Runs are their own key's business, unless a key holds the scope for all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.contract.promises import Promises
from tests.fleet.scene import Scene

_ISSUE = """
import json
from techno.access.issue import issue_key
print(json.dumps({name: issue_key(label=name, scopes=scopes).text for name, scopes in %r.items()}))
"""
SCOPES = {
    "own": ["execute", "runs:read", "runs:cancel"],
    "other": ["execute", "runs:read", "runs:cancel"],
    "all": ["runs:read", "runs:read-all", "runs:cancel"],
    "blind": ["execute"],
}


@pytest.fixture(scope="module")
def keys(fleet: Scene) -> dict[str, str]:
    printed = fleet.service.manage("shell", "-v", "0", "-c", _ISSUE % SCOPES).stdout
    found: dict[str, str] = json.loads(printed.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def clients(fleet: Scene, keys: dict[str, str]) -> Iterator[dict[str, httpx.Client]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(fleet.service.client(key)) for name, key in keys.items()}


@pytest.mark.produces("G8_unknown_action")
def test_a_run_of_another_key_is_not_there(
    fleet: Scene, clients: dict[str, httpx.Client], promises: Promises
) -> None:
    execution_id = fleet.run_async(clients["own"], "FLEET_ELSEWHERE")
    other = clients["other"]
    unknown = "run_00000000000000000000000000000000"
    told = set()
    for one in (execution_id, unknown):
        for answer in (
            other.get(f"/api/runs/{one}"),
            other.get(f"/api/runs/{one}/output?wait=0"),
            other.post(f"/api/runs/{one}/cancel"),
        ):
            body = promises.held(answer, 404, "BLOCKED", ["G8_unknown_action"])
            told.add(body["message"])
    assert len(told) == 1
    assert clients["own"].get(f"/api/runs/{execution_id}").json()["state"] == "queued"
    assert clients["all"].get(f"/api/runs/{execution_id}").json()["state"] == "queued"
    assert clients["all"].post(f"/api/runs/{execution_id}/cancel").status_code == 200


@pytest.mark.produces("G2_scope_denied")
def test_each_endpoint_wants_its_scope(
    clients: dict[str, httpx.Client], promises: Promises
) -> None:
    blind, one = clients["blind"], "run_00000000000000000000000000000000"
    for answer in (
        blind.get("/api/runs"),
        blind.get(f"/api/runs/{one}"),
        blind.get(f"/api/runs/{one}/output"),
        blind.post(f"/api/runs/{one}/cancel"),
    ):
        promises.held(answer, 403, "BLOCKED", ["G2_scope_denied"])


def test_the_list_shows_its_own_newest_first_and_pages_by_cursor(
    fleet: Scene, clients: dict[str, httpx.Client], promises: Promises
) -> None:
    mine = [
        clients["own"].post("/api/execute", json={"command": "FLEET_MARK"}).json()["execution_id"]
        for _ in range(5)
    ]
    theirs = clients["other"].post("/api/execute", json={"command": "FLEET_MARK"}).json()
    seen, cursor = [], ""
    while True:
        query = {"limit": "2", "action": "FLEET_MARK", **({"cursor": cursor} if cursor else {})}
        body = promises.held(clients["own"].get("/api/runs", params=query), 200)
        seen += [run["execution_id"] for run in body["data"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert seen[: len(mine)] == mine[::-1]
    assert len(set(seen)) == len(seen)
    assert theirs["execution_id"] not in seen
    everything = clients["all"].get("/api/runs?limit=200").json()["data"]
    assert {*mine, theirs["execution_id"]} <= {run["execution_id"] for run in everything}
    keys = {run["key"] for run in clients["own"].get("/api/runs").json()["data"]}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("state=ended&status=APPROVED", True),
        ("state=running", False),
        ("status=BLOCKED", False),
        ("action=FLEET_MARK&since=2020-01-01T00:00:00Z", True),
        ("until=2020-01-01T00:00:00Z", False),
        ("queue=nowhere", False),
    ],
)
def test_the_list_is_narrowed(
    fleet: Scene, clients: dict[str, httpx.Client], query: str, matches: bool
) -> None:
    one = clients["own"].post("/api/execute", json={"command": "FLEET_MARK"}).json()
    listed = clients["own"].get(f"/api/runs?{query}").json()["data"]
    assert (one["execution_id"] in {run["execution_id"] for run in listed}) is matches


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "state=gone", "cursor=abc", "since=never", "who=me"],
)
@pytest.mark.produces("G11_invalid_payload")
def test_a_bad_query_is_refused(client: httpx.Client, promises: Promises, query: str) -> None:
    promises.held(client.get(f"/api/runs?{query}"), 400, "BLOCKED", ["G11_invalid_payload"])


@pytest.mark.parametrize("query", ["after=-1", "after=x", "wait=11", "stream=both", "limit=5"])
def test_a_bad_position_is_refused(
    fleet: Scene, client: httpx.Client, promises: Promises, query: str
) -> None:
    one = client.post("/api/execute", json={"command": "FLEET_MARK"}).json()["execution_id"]
    answer = client.get(f"/api/runs/{one}/output?{query}")
    promises.held(answer, 400, "BLOCKED", ["G11_invalid_payload"])
