"""No more runs at once than all may have together, and turns that go round between keys."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.service import Service, Services

pytestmark = pytest.mark.slow
CROWD = 8
LIMIT_S = 30.0
WAITING = "SELECT count(*) FROM command_runs WHERE state = 'queued' AND action = 'CROWDED'"


def test_a_crowd_at_one_action_does_not_keep_another_key_from_its_own(
    start_service: Services,
) -> None:
    with start_service(
        TECHNO_RUNS_MOST="1", TECHNO_RUN_SLOTS="6", TECHNO_RUN_WAITERS="2"
    ) as service:
        service.add_action("CROWDED", ["/bin/sleep", "0.4"])
        service.add_action("ALONE", ["/bin/sleep", "0.1"])
        crowd, single = (service.issue_key(label=label) for label in ("crowd", "single"))
        with ThreadPoolExecutor(CROWD + 1) as pool:
            many = [pool.submit(_run, service, crowd, "CROWDED") for _ in range(CROWD)]
            ends_at_s = time.monotonic() + LIMIT_S
            while service.sql(WAITING)[0][0] < CROWD - 2:
                assert time.monotonic() < ends_at_s
                threading.Event().wait(0.01)
            alone = pool.submit(_run, service, single, "ALONE").result()
            bodies = [alone, *(each.result() for each in many)]
        assert [body["status"] for body in bodies] == ["APPROVED"] * len(bodies)
        ((meanwhile,),) = service.sql(
            "SELECT count(*) FROM command_runs c, command_runs a"
            " WHERE a.execution_id = %s AND c.action = 'CROWDED'"
            " AND c.started_at BETWEEN a.requested_at AND a.started_at",
            [alone["execution_id"]],
        )
        assert meanwhile <= 1
        ((overlaps,),) = service.sql(
            "SELECT count(*) FROM command_runs a JOIN command_runs b"
            " ON a.execution_id < b.execution_id"
            " AND a.started_at < b.ended_at AND b.started_at < a.ended_at"
        )
        assert overlaps == 0


def _run(service: Service, key: str, command: str) -> dict[str, Any]:
    with service.client(key) as client:
        body: dict[str, Any] = client.post("/api/execute", json={"command": command}).json()
    return body
