"""Memory and metrics: what stands beside the envelope, and the shapes a console draws."""

from __future__ import annotations

import httpx

from tests.contract.promises import TIMESTAMP, Promises
from tests.contract.test_audit_reading import ENTRY_FIELDS

FIGURES = {"used", "available", "total", "percent", "process_rss", "cpu_percent", "uptime_s"}
SNAPSHOT = {"command", "output", "timestamp", "status", "execution_id"}


def test_memory_has_its_figures_twice(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(client.get("/api/memory"), 200)
    assert set(body) == {
        *("status", "trace_id", "ts_utc", "reason_codes", "data", "used", "available")
    }
    data = body["data"]
    assert set(data) == FIGURES | SNAPSHOT
    assert (body["used"], body["available"]) == (data["used"], data["available"])
    assert data["used"] + data["available"] == data["total"]
    assert 0 < data["process_rss"] < data["total"]
    assert 0 <= data["percent"] <= 100
    assert 0 <= data["cpu_percent"] <= 100
    for name in ("used", "available", "total", "process_rss", "uptime_s"):
        assert type(data[name]) is int


def test_memory_shows_the_last_execution_of_this_key(
    promises: Promises, keys: dict[str, str]
) -> None:
    service = promises.service
    with service.client(keys["diagnostics:read"]) as never_ran:
        before = promises.held(never_ran.get("/api/memory"), 200)["data"]
        assert {before[name] for name in SNAPSHOT} == {None}
    with service.client(keys["second"]) as client, service.client() as other:
        ran = client.post("/api/execute", json={"command": "EXIT_THREE"}).json()
        other.post("/api/execute", json={"command": "TRUE"})
        after = promises.held(client.get("/api/memory"), 200)["data"]
    assert {name: after[name] for name in SNAPSHOT} == {
        "command": "EXIT_THREE",
        "output": "partly done\n",
        "timestamp": ran["executed_at"],
        "status": "WARNING",
        "execution_id": ran["execution_id"],
    }


def test_metrics_can_stand_in_for_the_audit_list(promises: Promises, client: httpx.Client) -> None:
    session = {"X-Session-Id": "the console"}
    # A request is counted once it was answered, so the first one of all tells none.
    promises.held(client.get("/api/diagnostic/metrics", headers=session), 200)
    body = promises.held(client.get("/api/diagnostic/metrics", headers=session), 200)
    assert set(body) == {"status", "trace_id", "ts_utc", "reason_codes", "data", "metrics"}
    assert body["metrics"]["requests_total"] >= 1
    assert all(isinstance(value, (int, float)) for value in body["metrics"].values())
    assert body["data"]
    for entry in body["data"]:
        assert set(entry) == ENTRY_FIELDS
        assert TIMESTAMP.fullmatch(entry["timestamp"])
        assert entry["result"] in ("SUCCESS", "FAILED")
        assert entry["action"].startswith("diagnostic.")
        assert entry["session_id"] == "the console"
        assert entry["user_ip"] == "127.0.0.1"
    assert {entry["action"] for entry in body["data"]} >= {"diagnostic.database"}
