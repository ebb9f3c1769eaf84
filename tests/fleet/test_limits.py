"""No more at once than an action may, counted in PostgreSQL over all processes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.promises import Promises
from tests.fleet.scene import Scene

pytestmark = pytest.mark.slow
AT_ONCE = 5


def together(fleet: Scene, command: str, count: int, key: str | None = None) -> list[Any]:
    def one(_: int) -> httpx.Response:
        with fleet.service.client(key) as client:
            return client.post("/api/execute", json={"command": command})

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def overlaps(fleet: Scene, execution_ids: list[str]) -> int:
    """How many pairs of these runs went on at the same time."""
    ((count,),) = fleet.service.sql(
        "SELECT count(*) FROM command_runs a JOIN command_runs b ON a.execution_id < b.execution_id"
        " AND a.started_at < b.ended_at AND b.started_at < a.ended_at"
        " WHERE a.execution_id = ANY(%s) AND b.execution_id = ANY(%s)",
        [execution_ids, execution_ids],
    )
    return int(count)


def test_those_that_wait_run_one_after_the_other(fleet: Scene) -> None:
    bodies = [answer.json() for answer in together(fleet, "FLEET_ONE", AT_ONCE)]
    assert [body["status"] for body in bodies] == ["APPROVED"] * AT_ONCE, bodies
    assert overlaps(fleet, [body["execution_id"] for body in bodies]) == 0


@pytest.mark.produces("G12_timeout")
def test_a_full_action_refuses_at_once_when_it_is_told_to(fleet: Scene, promises: Promises) -> None:
    answers = together(fleet, "FLEET_REFUSE", AT_ONCE)
    ran = [answer.json() for answer in answers if answer.json()["status"] == "APPROVED"]
    assert ran
    assert overlaps(fleet, [body["execution_id"] for body in ran]) == 0
    refused = [answer for answer in answers if answer.json()["status"] == "BLOCKED"]
    assert refused
    for answer in refused:
        body = promises.held(answer, 200, "BLOCKED", ["G12_timeout"])
        assert body["execution_id"] is None


def test_workers_hold_to_it_too(fleet: Scene, client: httpx.Client) -> None:
    execution_ids = [
        client.post("/api/execute", json={"command": "FLEET_LINE"}).json()["execution_id"]
        for _ in range(AT_ONCE)
    ]
    for execution_id in execution_ids:
        assert fleet.ended(client, execution_id)["status"] == "APPROVED"
    assert overlaps(fleet, execution_ids) == 0
    assert all(fleet.started().count(one) == 1 for one in execution_ids)


def test_turns_go_round_between_keys(fleet: Scene) -> None:
    """One caller's crowd does not make another wait for all of it."""
    keys = [fleet.service.issue_key(label=label) for label in ("crowd", "single")]
    with fleet.service.client(keys[0]) as crowd, fleet.service.client(keys[1]) as single:
        queued = [
            crowd.post("/api/execute", json={"command": "FLEET_LINE"}).json()["execution_id"]
            for _ in range(6)
        ]
        alone = single.post("/api/execute", json={"command": "FLEET_LINE"}).json()["execution_id"]
        fleet.ended(single, alone)
        for execution_id in queued:
            fleet.ended(crowd, execution_id)
    rows = fleet.service.sql(
        "SELECT execution_id FROM command_runs WHERE execution_id = ANY(%s) ORDER BY started_at",
        [[*queued, alone]],
    )
    order = [execution_id for (execution_id,) in rows]
    assert order.index(alone) < len(order) - 1
