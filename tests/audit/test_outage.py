"""PostgreSQL is frozen, killed and restarted under load: what was answered is there, once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.service import Service, Services

pytestmark = pytest.mark.slow

ROWS_WITHIN_S = 60.0


class Load:
    """Several callers that ask for memory and execution, and keep what they were told."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stop = threading.Event()
        self.answers: list[tuple[str, int, str]] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def _ask(self) -> None:
        with self._service.client() as client:
            while not self._stop.is_set():
                for path, body in (("memory", None), ("execute", {"command": "MARK"})):
                    try:
                        answer = (
                            client.get(f"/api/{path}")
                            if body is None
                            else client.post(f"/api/{path}", json=body)
                        )
                    except httpx.TransportError:
                        continue
                    self.answers.append(
                        (answer.json()["trace_id"], answer.status_code, answer.json()["status"])
                    )
                time.sleep(0.01)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def wait_for_rows(service: Service, trace_ids: list[str]) -> Counter[str]:
    """Return how many rows each answer has, once all are there or time is up."""
    ends_at = time.monotonic() + ROWS_WITHIN_S
    while True:
        found = Counter(
            str(row[0])
            for row in service.sql(
                "SELECT trace_id FROM audit_logs WHERE trace_id = ANY (%s::uuid[])", [trace_ids]
            )
        )
        if len(found) == len(trace_ids) or time.monotonic() > ends_at:
            return found
        time.sleep(0.5)


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    return tmp_path / "marks"


def start(start_service: Services, marks: Path) -> Service:
    """A service with an action that leaves a mark for each time it really ran."""
    service = start_service(embedded=True)
    script = marks.with_name("mark.sh")
    script.write_text(f"#!/bin/sh\necho ran >> {marks}\n", encoding="ascii")
    script.chmod(0o755)
    marks.parent.chmod(0o755)
    service.add_action("MARK", [str(script)])
    return service


@pytest.mark.parametrize("how", ["frozen", "killed"])
def test_every_answer_has_its_row(start_service: Services, marks: Path, how: str) -> None:
    with start(start_service, marks) as service:
        with Load(service) as load:
            time.sleep(2)
            for _ in range(2):
                processes = service.postgres_processes()
                for process in processes if how == "frozen" else processes[:1]:
                    os.kill(process.pid, signal.SIGSTOP if how == "frozen" else signal.SIGKILL)
                time.sleep(3)
                if how == "frozen":
                    for process in processes:
                        os.kill(process.pid, signal.SIGCONT)
                time.sleep(4)
        told = [trace_id for trace_id, _, _ in load.answers]
        rows = wait_for_rows(service, told)

        assert len(told) == len(set(told))
        assert set(told) - set(rows) == set(), "answers without a row"
        assert set(rows.values()) == {1}
        refused = [status for _, http_status, status in load.answers if http_status == 503]
        assert refused, "the outage was not felt: the test proves nothing"
        assert set(refused) == {"BLOCKED"}
        ran = marks.read_text(encoding="ascii").count("ran")
        intents = service.sql("SELECT count(*) FROM command_runs WHERE action = 'MARK'")[0][0]
        assert ran <= intents
        approved = service.sql(
            "SELECT count(*) FROM command_runs WHERE action = 'MARK' AND status = 'APPROVED'"
        )[0][0]
        assert approved <= ran
        assert not service.sql(
            "SELECT execution_id FROM command_runs WHERE state = 'running' AND "
            "requested_at < now() - interval '30 seconds'"
        )


def test_what_goes_on_while_the_database_is_away(start_service: Services) -> None:
    """Diagnostics and refusals go on, from the journal; what needs the database is refused."""
    with start_service(embedded=True) as service:
        key = service.issue_key("--scope", "diagnostics:read", label="watch")
        unseen = service.issue_key("--scope", "diagnostics:read", label="issued too late")
        with service.client(key) as watcher:
            assert watcher.get("/api/memory").status_code == 200
        ends_at = time.monotonic() + 30
        snapshot = service.var_dir / "key_snapshot.json"
        while not snapshot.exists() or key.split("_")[1] not in snapshot.read_text():
            assert time.monotonic() < ends_at, "the keeper copied no keys"
            time.sleep(0.2)
        assert snapshot.stat().st_mode & 0o077 == 0
        assert key not in snapshot.read_text()
        processes = service.postgres_processes()
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            told = _ask_around(service, key)
        finally:
            for process in processes:
                os.kill(process.pid, signal.SIGCONT)
        assert unseen
        assert set(wait_for_rows(service, told)) == set(told)


def _ask_around(service: Service, key: str) -> list[str]:
    """Ask what should go on and what should not; return the trace ids."""
    told = []
    with service.client(key) as watcher, service.client("") as stranger, service.client() as all_:
        for client, method, path, http_status, code in (
            (watcher, "GET", "/api/memory", 200, None),
            (watcher, "GET", "/api/diagnostic/metrics", 200, None),
            (stranger, "GET", "/api/memory", 401, "G0_auth_not_configured"),
            (stranger, "GET", "/api/nothing", 404, "G8_unknown_action"),
            (all_, "GET", "/api/audit", 503, "G17_audit_unavailable"),
            (all_, "POST", "/api/execute", 503, "G17_audit_unavailable"),
        ):
            body = {"command": "CLOCK"} if method == "POST" else None
            answer = client.request(method, path, json=body)
            found = answer.json()
            assert answer.status_code == http_status, (path, answer.text)
            assert code is None or code in found["reason_codes"], (path, answer.text)
            if path == "/api/audit":
                assert found["fallback"] == "/api/diagnostic/metrics"
                assert "/api/diagnostic/metrics" in answer.headers["Link"]
            if path == "/api/diagnostic/metrics":
                assert found["metrics"]["journal_records"] >= 1
            told.append(found["trace_id"])
        assert stranger.get("/health").json()["status"] == "ok"
    return told
