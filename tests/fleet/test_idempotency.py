"""A named request is done once, however often it is sent."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from techno.processes import wait_until
from tests.contract.promises import Promises
from tests.fleet.scene import LIMIT_S, Scene

SENDERS = 8


def send(
    client: httpx.Client, name: str, command: str = "FLEET_MARK", **more: Any
) -> httpx.Response:
    headers = {"Idempotency-Key": name, **more.pop("headers", {})}
    return client.post("/api/execute", json={"command": command, **more}, headers=headers)


def test_the_second_gets_the_first_verdict_and_a_row_that_points_at_it(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    name = secrets.token_hex(8)
    first, second = send(client, name), send(client, name)
    told, again = promises.held(first, 200), promises.held(second, 200)
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert told["trace_id"] != again["trace_id"]
    for field in ("execution_id", "stdout", "stderr", "exit_code", "duration_ms", "executed_at"):
        assert told[field] == again[field]
    assert fleet.started().count(told["execution_id"]) == 1
    assert promises.row(again["trace_id"])["detail"]["replayed_from"] == told["trace_id"]


@pytest.mark.produces("G18_idempotency_conflict")
def test_another_body_under_the_same_name_is_a_conflict(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    name = secrets.token_hex(8)
    send(client, name)
    conflict = send(client, name, session_id="another body")
    promises.held(conflict, 409, "BLOCKED", ["G18_idempotency_conflict"])
    assert "Idempotency-Replayed" not in conflict.headers
    # How it is written does not matter: the order of fields, or the spaces.
    content = b'{ "session_id": "s", "command":"FLEET_MARK"}'
    headers = {"Idempotency-Key": name + "2", "Content-Type": "application/json"}
    client.post("/api/execute", content=content, headers=headers)
    assert send(client, name + "2", session_id="s").headers["Idempotency-Replayed"] == "true"


def test_equal_requests_at_once_run_once(fleet: Scene) -> None:
    name = secrets.token_hex(8)
    with ThreadPoolExecutor(SENDERS) as pool:

        def one(_: int) -> dict[str, Any]:
            with fleet.service.client() as client:
                answer = send(client, name)
                assert answer.status_code == 200, answer.text
                found: dict[str, Any] = answer.json()
                return found

        bodies = list(pool.map(one, range(SENDERS)))
    (execution_id,) = {body["execution_id"] for body in bodies}
    assert {body["status"] for body in bodies} == {"APPROVED"}
    assert fleet.started().count(execution_id) == 1


def test_the_same_name_means_nothing_between_two_keys(fleet: Scene, client: httpx.Client) -> None:
    name = secrets.token_hex(8)
    first = send(client, name).json()
    with fleet.service.client(fleet.service.issue_key(label="second")) as other:
        second = send(other, name, session_id="another body")
    assert second.status_code == 200
    assert second.json()["execution_id"] != first["execution_id"]


def test_what_was_refused_is_refused_again(client: httpx.Client, promises: Promises) -> None:
    name = secrets.token_hex(8)
    for replayed in (None, "true"):
        answer = send(client, name, "NO_SUCH_THING")
        promises.held(answer, 200, "BLOCKED", ["G8_unknown_action"])
        assert answer.headers.get("Idempotency-Replayed") == replayed


def test_a_queued_run_is_queued_once(fleet: Scene, client: httpx.Client) -> None:
    name = secrets.token_hex(8)
    asked = {"headers": {"Prefer": "respond-async"}}
    first, second = send(client, name, **asked), send(client, name, **asked)
    assert [first.status_code, second.status_code] == [202, 202]
    assert first.headers["Location"] == second.headers["Location"]
    assert second.json()["reason_codes"] == ["E1_queued"]
    fleet.ended(client, first.json()["execution_id"])
    assert send(client, name, **asked).json()["reason_codes"] == ["E1_queued"]
    assert fleet.started().count(first.json()["execution_id"]) == 1


def test_answers_are_kept_for_a_day(fleet: Scene, client: httpx.Client) -> None:
    name = secrets.token_hex(8)
    first = send(client, name).json()
    fleet.service.sql(
        "UPDATE executor_idempotency SET at = now() - interval '24 hours 1 second'"
        " WHERE idempotency_key = %s",
        [name],
    )
    later = send(client, name)
    assert "Idempotency-Replayed" not in later.headers
    assert later.json()["execution_id"] != first["execution_id"]


@pytest.mark.parametrize("name", ["", "x" * 256, "tab\there"])
def test_a_bad_name_is_refused(client: httpx.Client, promises: Promises, name: str) -> None:
    promises.held(send(client, name), 400, "BLOCKED", ["G11_invalid_payload"])


def test_while_the_first_still_runs_the_second_waits_for_it(fleet: Scene) -> None:
    name = secrets.token_hex(8)
    opened = "SELECT 1 FROM command_runs WHERE idempotency_key = %s AND state = 'running'"
    with (
        ThreadPoolExecutor(1) as pool,
        fleet.service.client() as client,
        fleet.service.client() as other,
    ):
        running = pool.submit(send, other, name, "FLEET_WAIT")
        assert wait_until(lambda: fleet.service.sql(opened, [name]) != [], LIMIT_S)
        second = send(client, name, "FLEET_WAIT")
        told = running.result().json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json()["execution_id"] == told["execution_id"]
    assert (second.json()["status"], second.json()["stdout"]) == ("APPROVED", told["stdout"])


@pytest.mark.slow
@pytest.mark.produces("E9_interrupted")
def test_after_a_crash_the_end_is_told_and_nothing_is_run_again(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    name = secrets.token_hex(8)
    with ThreadPoolExecutor(1) as pool:

        def run() -> None:
            with fleet.service.client() as other, contextlib.suppress(httpx.TransportError):
                send(other, name, "FLEET_SLOW")

        pool.submit(run)
        watched = "SELECT worker FROM command_runs WHERE idempotency_key = %s AND state = 'running'"
        assert wait_until(lambda: fleet.service.sql(watched, [name]) != [], LIMIT_S)
        ((watcher,),) = fleet.service.sql(watched, [name])
        os.kill(int(watcher.split(":")[1]), signal.SIGKILL)

    def again() -> httpx.Response | None:
        try:
            with fleet.service.client() as other:
                answer = send(other, name, "FLEET_SLOW")
        except httpx.TransportError:  # the master puts another worker in its place
            return None
        return answer if answer.status_code == 200 else None

    answers: list[httpx.Response] = []

    def answered() -> bool:
        answers.extend(filter(None, [again()]))
        return bool(answers)

    assert wait_until(answered, LIMIT_S)
    body = promises.held(answers[-1], 200, "BLOCKED", ["E9_interrupted"])
    assert answers[-1].headers["Idempotency-Replayed"] == "true"
    assert fleet.started().count(body["execution_id"]) == 1
    rows = fleet.service.sql("SELECT 1 FROM command_runs WHERE idempotency_key = %s", [name])
    assert len(rows) == 1
