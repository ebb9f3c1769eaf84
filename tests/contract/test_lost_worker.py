"""``kill -9`` of the process that watches runs: nothing goes on, nothing stays "running"."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from techno.processes import process_table, read_environment_variable, wait_until
from tests.contract.promises import Promises
from tests.service import Service, Services

pytestmark = pytest.mark.slow
CLEARED_LIMIT_S = 60.0
RUNS = 4
INTERRUPTED = ["E9_interrupted"]


@pytest.fixture
def own_service(start_service: Services) -> Iterator[Service]:
    with start_service(TECHNO_API_KEY="a key of decent length") as service:
        yield service


def processes_of(execution_id: str) -> list[int]:
    return [
        process.pid
        for process in process_table().values()
        if not process.is_zombie
        and read_environment_variable(process.pid, "TECHNO_EXECUTION_ID") == execution_id
    ]


def start_runs(service: Service, pool: ThreadPoolExecutor) -> list[str]:
    """Start runs on all workers; return their execution ids once their processes live."""

    def run() -> None:
        with service.client() as client:
            try:
                client.post("/api/execute", json={"command": "SLEEP_TREE"})
            except httpx.TransportError:
                return  # its worker is gone, and the connection with it

    for _ in range(RUNS):
        pool.submit(run)

    def running() -> list[str]:
        rows = service.sql("SELECT execution_id FROM command_runs WHERE state = 'running'")
        return [execution_id for (execution_id,) in rows]

    assert wait_until(lambda: len(running()) == RUNS, CLEARED_LIMIT_S)
    found = running()
    # The shell and its two children.
    assert wait_until(lambda: all(len(processes_of(one)) == 3 for one in found), CLEARED_LIMIT_S)
    return found


def closed_as_interrupted(service: Service, execution_ids: list[str]) -> None:
    """Assert that each run has its end and its one row, and that nothing of it lives."""

    def open_runs() -> list[tuple[str]]:
        return service.sql("SELECT execution_id FROM command_runs WHERE state = 'running'")

    assert wait_until(lambda: open_runs() == [], CLEARED_LIMIT_S)
    assert [pid for one in execution_ids for pid in processes_of(one)] == []
    for execution_id in execution_ids:
        rows = service.sql(
            "SELECT r.status, r.reason_codes, t.status, l.reason_codes, t.execution_id"
            " FROM command_runs r JOIN audit_logs l USING (trace_id)"
            " JOIN audit_traces t USING (trace_id) WHERE r.execution_id = %s",
            [execution_id],
        )
        assert rows == [("BLOCKED", INTERRUPTED, "BLOCKED", INTERRUPTED, execution_id)]


@pytest.mark.produces("E9_interrupted")
def test_the_runs_of_a_killed_worker_are_closed(own_service: Service) -> None:
    promises = Promises(own_service)
    with ThreadPoolExecutor(RUNS) as pool:
        execution_ids = start_runs(own_service, pool)
        for worker in own_service.web_workers():
            os.kill(worker.pid, signal.SIGKILL)
        closed_as_interrupted(own_service, execution_ids)
    with own_service.client() as client:

        def served() -> bool:
            try:
                return client.get("/api/memory").status_code == 200
            except httpx.TransportError:
                return False

        assert wait_until(served, CLEARED_LIMIT_S)
        listed = promises.held(client.get("/api/audit?filter=E9_interrupted"), 200)["data"]
    assert {entry["execution_id"] for entry in listed} >= set(execution_ids)
    assert {entry["state"] for entry in listed} == {"BLOCKED"}
    promises.seen.update(code for entry in listed for code in entry["reason_codes"])


@pytest.mark.produces("E9_interrupted")
def test_the_next_start_closes_what_a_killed_service_left(own_service: Service) -> None:
    promises = Promises(own_service)
    with ThreadPoolExecutor(RUNS) as pool:
        execution_ids = start_runs(own_service, pool)
        own_service.kill()
        own_service.start()
        closed_as_interrupted(own_service, execution_ids)
    with own_service.client() as client:
        listed = promises.held(client.get("/api/audit?filter=E9_interrupted"), 200)["data"]
    assert {entry["execution_id"] for entry in listed} == set(execution_ids)
    promises.seen.update(code for entry in listed for code in entry["reason_codes"])


def test_requests_are_finished_when_the_service_is_asked_to_stop(own_service: Service) -> None:
    with ThreadPoolExecutor(RUNS) as pool:

        def nap() -> int:
            with own_service.client() as client:
                return client.post("/api/execute", json={"command": "NAP"}).status_code

        naps = [pool.submit(nap) for _ in range(RUNS)]
        while len(own_service.sql("SELECT 1 FROM command_runs")) < RUNS:
            time.sleep(0.01)
        own_service.process.send_signal(signal.SIGTERM)
        assert [one.result() for one in naps] == [200] * RUNS
        assert own_service.process.wait(CLEARED_LIMIT_S) == 0
