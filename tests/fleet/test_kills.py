"""Two hundred runs while web processes, worker and PostgreSQL are killed at random moments.

Each program writes its execution id into a file when it starts: a side effect that can be
counted. Afterwards every started program has its intent, every run its end, and no side effect
happened twice, not even for requests that were repeated because their answer was lost.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from techno.processes import descendants, process_table, read_arguments, wait_until
from tests.fleet.scene import Scene, joined
from tests.service import Service, Services

pytestmark = pytest.mark.slow

RUNS = 200
SENDERS = 8
APPROVALS = 10
DECIDERS = 3
DECIDING_LIMIT_S = 60.0
#: Between two requests, so that they fall into all phases of dying and coming back.
PACE_S = 0.2
#: Between two kills.
PAUSE_S = (1.5, 3.5)
SENDING_LIMIT_S = 120.0
RECOVERY_LIMIT_S = 90.0
_ACTION = r"""
[action.KILL_MARK]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; sleep 0.15"]

[action.KILL_TALK]
argv = ["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.25; done"]
timeout_s = 60
is_async = true

[action.KILL_ASK]
argv = ["/bin/sh", "-c", "echo $TECHNO_EXECUTION_ID >> DIRECTORY/started; sleep 0.15"]
approvals_needed = 1
"""


@pytest.fixture(scope="module")
def scene(start_service: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("kills")
    with start_service(
        embedded=True, TECHNO_API_KEY="a key of decent length", TECHNO_TERMINAL_APPROVALS="1"
    ) as service:
        path = service.directory / "kills.toml"
        path.write_text(_ACTION.replace("DIRECTORY", str(directory)), encoding="utf-8")
        service.manage("actions", "load", str(path))
        yield Scene(service, directory)


class Killer:
    """Kills one part of the service after another, never the supervisor, until it is stopped."""

    def __init__(self, service: Service, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)
        self._stopped = threading.Event()
        self.killed: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._kill, daemon=True)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _kill(self) -> None:
        parts: list[str] = []
        while not self._stopped.wait(self._random.uniform(*PAUSE_S)):
            if not parts:
                parts = ["web", "web", "worker", "worker", "postgres"]
                self._random.shuffle(parts)
            part = parts.pop()
            victims = self._victims(part)
            if victims:
                try:
                    os.kill(self._random.choice(victims), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.killed[part] += 1

    def _victims(self, part: str) -> list[int]:
        if part == "web":
            return [row.pid for row in self._service.web_workers()]
        if part == "postgres":
            return [row.pid for row in self._service.postgres_processes()[:1]]
        below = descendants(self._service.process.pid, process_table())
        return [row.pid for row in below if read_arguments(row.pid)[-2:] == ["manage.py", "worker"]]


def send(client: httpx.Client, number: int, give_up_at_s: float) -> str:
    """Ask for run ``number`` until there is an answer that is one; return the execution id."""
    headers = {"Idempotency-Key": f"kill-{number}"}
    if number % 2:
        headers["Prefer"] = "respond-async"
    while time.monotonic() < give_up_at_s:
        try:
            answer = client.post("/api/execute", json={"command": "KILL_MARK"}, headers=headers)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code in (200, 202):
            body = answer.json()
            return str(body["execution_id"] or "")
        assert answer.status_code in (401, 500, 503), answer.text
        time.sleep(0.1)
    raise AssertionError(f"request {number} was never answered")


def test_nothing_is_lost_or_done_twice_whatever_is_killed(scene: Scene) -> None:
    service, seed = scene.service, int(time.time())
    begun_s = time.monotonic()
    give_up_at_s = begun_s + SENDING_LIMIT_S
    with Killer(service, seed) as killer, ThreadPoolExecutor(SENDERS) as pool:

        def one(number: int) -> str:
            time.sleep(max(0.0, begun_s + number * PACE_S - time.monotonic()))
            with service.client() as client:
                return send(client, number, give_up_at_s)

        answered = list(pool.map(one, range(RUNS)))
    assert sum(killer.killed.values()) >= 5, killer.killed

    def left() -> list[tuple[str]]:
        try:
            return service.sql("SELECT execution_id FROM command_runs WHERE state <> 'ended'")
        except Exception:
            return [("?",)]

    assert wait_until(lambda: left() == [], RECOVERY_LIMIT_S), (seed, killer.killed, left())
    started = Counter(scene.started())
    runs = dict(service.sql("SELECT execution_id, coalesce(idempotency_key, '') FROM command_runs"))
    story = (seed, dict(killer.killed), f"{len(started)} of {len(runs)} runs started")
    print(story)
    assert [one for one, count in started.items() if count > 1] == [], story
    assert set(started) <= set(runs), story
    by_request = Counter(runs[execution_id] for execution_id in started)
    assert [name for name, count in by_request.items() if count > 1] == [], story
    assert {one for one in answered if one} <= set(runs), story
    told = service.sql(
        "SELECT execution_id FROM command_runs r WHERE NOT EXISTS"
        " (SELECT 1 FROM audit_traces t WHERE t.execution_id = r.execution_id"
        "  AND t.status = r.status)"
    )
    assert told == [], story


def test_a_run_goes_on_while_postgresql_is_away_and_its_end_is_told(scene: Scene) -> None:
    service = scene.service
    with service.client() as client:
        asked = client.post("/api/execute", json={"command": "KILL_TALK"})
        execution_id = asked.json()["execution_id"]
        scene.reaches(client, execution_id, "running")
        os.kill(service.postgres_processes()[0].pid, signal.SIGKILL)

        def ended() -> bool:
            try:
                return client.get(f"/api/runs/{execution_id}").status_code == 200
            except httpx.TransportError:
                return False

        assert wait_until(ended, RECOVERY_LIMIT_S)
        body = client.get(f"/api/runs/{execution_id}").json()
        assert (body["status"], body["reason_codes"]) == ("APPROVED", [])
        assert body["stdout"] == "1\n2\n3\n4\n5\n6\n7\n8\n"
        page = client.get(f"/api/runs/{execution_id}/output?wait=0").json()
        assert joined(page["data"], "stdout") == body["stdout"].encode()
    assert len(scene.end_rows(execution_id)) == 1


def ask(client: httpx.Client, number: int) -> str:
    """Ask for a run that needs approval until it waits; return its execution id."""
    headers = {"Idempotency-Key": f"ask-{number}"}
    body = {"command": "KILL_ASK", "reason": f"number {number}"}
    give_up_at_s = time.monotonic() + SENDING_LIMIT_S
    while time.monotonic() < give_up_at_s:
        try:
            answer = client.post("/api/execute", json=body, headers=headers)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.status_code == 202:
            assert answer.json()["reason_codes"] == ["G14_approval_required"]
            return str(answer.json()["execution_id"])
        assert answer.status_code in (401, 500, 503), answer.text
        time.sleep(0.1)
    raise AssertionError(f"request {number} was never answered")


def approve(service: Service, execution_id: str) -> None:
    """Approve a run, again and again until somebody's word stands: as who is not sure would."""
    give_up_at_s = time.monotonic() + DECIDING_LIMIT_S
    while time.monotonic() < give_up_at_s:
        said = ("--as", "admin", "--reason", "whatever dies")
        done = service.manage("approvals", "approve", execution_id, *said, check=False)
        try:
            found = service.sql(
                "SELECT state FROM executor_approvals WHERE execution_id = %s", [execution_id]
            )
        except psycopg.Error:
            continue
        if found != [("waiting",)]:
            return
        assert done.returncode != 0, done.stdout
    raise AssertionError(f"{execution_id} could not be approved: {done.stderr}")


def test_what_was_approved_starts_once_whatever_is_killed(scene: Scene) -> None:
    service, seed = scene.service, int(time.time())
    with service.client() as client:
        asked = [ask(client, number) for number in range(APPROVALS)]
    with Killer(service, seed) as killer, ThreadPoolExecutor(DECIDERS) as pool:
        # Every third is approved by two at once.
        twice = [one for number, one in enumerate(asked) for _ in range(1 + (number % 3 == 0))]
        list(pool.map(lambda one: approve(service, one), twice))
    assert sum(killer.killed.values()) >= 2, killer.killed

    def left() -> list[tuple[str]]:
        try:
            return service.sql(
                "SELECT execution_id FROM command_runs "
                "WHERE state <> 'ended' AND action = 'KILL_ASK'"
            )
        except psycopg.Error:
            return [("?",)]

    assert wait_until(lambda: left() == [], RECOVERY_LIMIT_S), (seed, killer.killed, left())
    started = Counter(one for one in scene.started() if one in set(asked))
    story = (seed, dict(killer.killed), f"{len(started)} of {len(asked)} approved runs started")
    print(story)
    assert [one for one, count in started.items() if count > 1] == [], story
    ends = dict(
        service.sql("SELECT execution_id, reason_codes FROM command_runs WHERE action = 'KILL_ASK'")
    )
    # Who was being started when its watcher died is told as interrupted, and not started again.
    unstarted = {one: ends[one] for one in asked if one not in started}
    assert all(codes == ["E9_interrupted"] for codes in unstarted.values()), (story, unstarted)
    assert len(started) >= APPROVALS // 2, story
    decisions = service.sql(
        "SELECT execution_id, count(*) FROM executor_approval_decisions GROUP BY 1 "
        "HAVING count(*) > 1"
    )
    assert decisions == [], story
