"""Stopping runs: queued ones at once, running ones with all that they started."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from techno.processes import wait_until
from tests.contract.promises import Promises
from tests.fleet.scene import LIMIT_S, Scene, processes_of


@pytest.mark.produces("E8_cancelled", "E2_running")
def test_a_tree_that_ignores_term_and_leaves_its_session_is_ended(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    execution_id = fleet.run_async(client, "FLEET_STUBBORN")
    assert wait_until(lambda: len(processes_of(execution_id)) >= 5, LIMIT_S)
    running = promises.held(client.get(f"/api/runs/{execution_id}"), 202, "NEUTRAL", ["E2_running"])
    assert running["state"] == "running"
    answer = client.post(f"/api/runs/{execution_id}/cancel", json={"reason": "it was a mistake"})
    assert answer.status_code in (200, 202), answer.text
    body = fleet.ended(client, execution_id)
    assert (body["status"], body["reason_codes"]) == ("BLOCKED", ["E8_cancelled"])
    assert processes_of(execution_id) == []
    cancel, ending = body["data"]["cancel"], body["data"]["ending"]
    assert (cancel["by"], cancel["reason"]) == ("first key", "it was a mistake")
    assert "stopped by first key (it was a mistake)" in ending
    assert "by KILL" in ending
    ((status, _, _, _),) = fleet.end_rows(execution_id)
    assert status == "BLOCKED"
    promises.seen.update(body["reason_codes"])


def test_a_queued_run_is_ended_at_once_and_never_starts(fleet: Scene, client: httpx.Client) -> None:
    execution_id = fleet.run_async(client, "FLEET_ELSEWHERE")  # nobody takes from that queue
    body = client.get(f"/api/runs/{execution_id}").json()
    assert (body["state"], body["reason_codes"]) == ("queued", ["E1_queued"])
    answer = client.post(f"/api/runs/{execution_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "APPROVED")
    body = fleet.ended(client, execution_id)
    assert body["reason_codes"] == ["E8_cancelled"]
    assert body["data"]["ending"] == "stopped by first key before its start"
    assert execution_id not in fleet.started()
    assert len(fleet.end_rows(execution_id)) == 1
    again = client.post(f"/api/runs/{execution_id}/cancel", json={"reason": "once more"})
    assert (again.status_code, again.json()["status"]) == (200, "APPROVED")
    assert again.json()["data"]["cancel"]["reason"] == ""


def test_a_run_that_somebody_waits_for_can_be_stopped_too(
    fleet: Scene, client: httpx.Client
) -> None:
    with ThreadPoolExecutor(1) as pool:

        def run() -> httpx.Response:
            with fleet.service.client() as other:
                return other.post("/api/execute", json={"command": "FLEET_SLOW"})

        waiting = pool.submit(run)
        running = "SELECT execution_id FROM command_runs WHERE action = 'FLEET_SLOW' AND state = %s"
        assert wait_until(lambda: len(fleet.service.sql(running, ["running"])) == 1, LIMIT_S)
        ((execution_id,),) = fleet.service.sql(running, ["running"])
        client.post(f"/api/runs/{execution_id}/cancel")
        body = waiting.result().json()
    assert (body["status"], body["reason_codes"]) == ("BLOCKED", ["E8_cancelled"])
    assert processes_of(execution_id) == []


def test_the_cancel_itself_leaves_one_row_that_names_run_and_reason(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    execution_id = fleet.run_async(client, "FLEET_ELSEWHERE")
    answer = client.post(f"/api/runs/{execution_id}/cancel", json={"reason": "not today"})
    row = promises.row(answer.headers["X-Trace-Id"])
    assert (row["action"], row["execution"]) == ("run.cancel", execution_id)
    assert row["detail"]["reason"] == "not today"


@pytest.mark.parametrize(
    "body", [{"why": "x"}, {"reason": 5}, {"reason": "x" * 301}, {"reason": "a\nb"}, []]
)
def test_a_body_that_is_not_one_stops_nothing(
    fleet: Scene, client: httpx.Client, body: object
) -> None:
    execution_id = fleet.run_async(client, "FLEET_MARK")
    answer = client.post(f"/api/runs/{execution_id}/cancel", json=body)
    assert (answer.status_code, answer.json()["reason_codes"]) == (400, ["G11_invalid_payload"])
