"""Several workers, each with queues of its own, and what is left when one of them dies."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from techno.processes import process_table, wait_until
from tests.contract.promises import Promises
from tests.fleet.scene import LIMIT_S, Scene, joined, processes_of
from tests.fleet.workers import worker

pytestmark = pytest.mark.slow


def watchers_of(fleet: Scene, execution_ids: list[str]) -> set[str]:
    rows = fleet.service.sql(
        "SELECT worker FROM command_runs WHERE execution_id = ANY(%s)", [execution_ids]
    )
    return {name for (name,) in rows}


def test_two_workers_take_from_their_own_queues(fleet: Scene, client: httpx.Client) -> None:
    waiting = fleet.run_async(client, "FLEET_ELSEWHERE")
    here = [fleet.run_async(client, "FLEET_MARK") for _ in range(3)]
    assert {fleet.ended(client, one)["status"] for one in here} == {"APPROVED"}
    assert client.get(f"/api/runs/{waiting}").json()["state"] == "queued"
    with worker(fleet.service, "--queues", "elsewhere,another") as process:
        body = fleet.ended(client, waiting)
        assert (body["exit_code"], body["stdout"]) == (4, "there\n")
        assert body["data"]["queue"] == "elsewhere"
        (there,) = watchers_of(fleet, [waiting])
        assert there.split(":")[1] == str(process.pid)
        assert there not in watchers_of(fleet, here)
        # Whoever waits for a run elsewhere is answered as if it were here.
        answer = client.post("/api/execute", json={"command": "FLEET_ELSEWHERE"})
        body = answer.json()
        assert (answer.status_code, body["status"]) == (200, "WARNING")
        assert (body["exit_code"], body["stdout"]) == (4, "there\n")
        assert watchers_of(fleet, [body["execution_id"]]) == {there}
        assert fleet.started().count(body["execution_id"]) == 1


def test_a_run_that_no_worker_takes_in_time_is_timed_out(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    answer = client.post("/api/execute", json={"command": "FLEET_ELSEWHERE"}, timeout=30)
    body = answer.json()
    assert (body["status"], body["reason_codes"]) == ("BLOCKED", ["E12_timeout"])
    told = client.get(f"/api/runs/{body['execution_id']}").json()
    assert (told["data"]["state"], told["reason_codes"]) == ("ended", ["E8_cancelled"])
    with worker(fleet.service, "--queues", "elsewhere"):
        later = fleet.run_async(client, "FLEET_ELSEWHERE")
        fleet.ended(client, later)
    assert body["execution_id"] not in fleet.started()


@pytest.mark.produces("E9_interrupted")
def test_a_killed_worker_leaves_its_output_and_no_process(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    ((before,),) = fleet.service.sql("SELECT count(*) FROM command_runs WHERE state = 'running'")
    assert before == 0
    execution_id = client.post("/api/execute", json={"command": "FLEET_TALK"}).json()[
        "execution_id"
    ]
    after, said = 0, b""
    while b"line 399\n" not in said:
        page = client.get(f"/api/runs/{execution_id}/output?after={after}").json()
        said, after = said + joined(page["data"]), page["next"]
    (name,) = watchers_of(fleet, [execution_id])
    pid = int(name.split(":")[1])
    assert pid in process_table()
    os.kill(pid, signal.SIGKILL)
    body = fleet.ended(client, execution_id)
    assert (body["status"], body["reason_codes"]) == ("BLOCKED", ["E9_interrupted"])
    assert body["stdout"].encode() == said
    assert wait_until(lambda: processes_of(execution_id) == [], LIMIT_S)
    assert len(fleet.end_rows(execution_id)) == 1
    promises.seen.update(body["reason_codes"])
    # The supervisor starts another one, and it works.
    assert fleet.ended(client, fleet.run_async(client, "FLEET_MARK"))["status"] == "APPROVED"


def test_a_watcher_that_falls_silent_is_found_by_its_heartbeat(
    fleet: Scene, client: httpx.Client
) -> None:
    """Stopped, not dead: only its silence tells. When it wakes, its story comes too late."""
    with worker(fleet.service, "--queues", "elsewhere") as process:
        fleet.service.add_action("FLEET_FAR", ["/bin/sleep", "600"], queue="elsewhere")
        execution_id = fleet.run_async(client, "FLEET_FAR")
        fleet.reaches(client, execution_id, "running")
        process.send_signal(signal.SIGSTOP)
        try:
            assert wait_until(
                lambda: client.get(f"/api/runs/{execution_id}").status_code == 200, LIMIT_S
            )
        finally:
            process.send_signal(signal.SIGCONT)
        body = client.get(f"/api/runs/{execution_id}").json()
        assert body["reason_codes"] == ["E9_interrupted"]
        assert wait_until(lambda: processes_of(execution_id) == [], LIMIT_S)
        assert fleet.ended(client, execution_id)["reason_codes"] == ["E9_interrupted"]
        assert len(fleet.end_rows(execution_id)) == 1


def test_a_worker_that_is_asked_to_stop_finishes_what_it_has(
    fleet: Scene, client: httpx.Client
) -> None:
    fleet.service.add_action("FLEET_WHILE", ["/bin/sleep", "1.5"], queue="elsewhere")
    with worker(fleet.service, "--queues", "elsewhere"):
        execution_id = fleet.run_async(client, "FLEET_WHILE")
        fleet.reaches(client, execution_id, "running")
    assert fleet.ended(client, execution_id)["status"] == "APPROVED"


def test_those_who_watch_do_not_starve_those_who_act(fleet: Scene, client: httpx.Client) -> None:
    """Far more followers than there are threads; a run is answered all the same."""
    execution_id = fleet.run_async(client, "FLEET_SLOW")
    fleet.reaches(client, execution_id, "running")
    with ThreadPoolExecutor(40) as pool:

        def follow(_: int) -> tuple[int, bool]:
            with fleet.service.client() as other:
                answer = other.get(f"/api/runs/{execution_id}/output", timeout=60)
                return answer.status_code, answer.json()["ended"]

        following = [pool.submit(follow, number) for number in range(40)]
        for _ in range(10):
            body = client.post("/api/execute", json={"command": "FLEET_MARK"}).json()
            assert body["status"] == "APPROVED"
        client.post(f"/api/runs/{execution_id}/cancel")
        assert {one.result()[0] for one in following} == {200}
