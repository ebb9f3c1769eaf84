"""Governed decisions about commands: HTTP 200 with the verdict in ``status``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.contract.promises import EXECUTION_ID, TIMESTAMP, Promises
from tests.service import Service, Services

ANSWER_LIMIT_S = 14.5


def run(client: httpx.Client, command: str, path: str = "/api/execute") -> httpx.Response:
    return client.post(path, json={"command": command})


def test_exit_code_zero_is_approved(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "GET_STATUS"), 200)
    assert "memory" in body["stdout"]
    assert (body["exit_code"], body["stderr"]) == (0, "")


def test_an_execution_is_told_beside_the_envelope_and_in_data(
    promises: Promises, client: httpx.Client
) -> None:
    body = promises.held(run(client, "TRUE"), 200)
    assert set(body) == {
        *("status", "trace_id", "ts_utc", "reason_codes", "data"),
        *("exit_code", "stdout", "stderr", "duration_ms", "executed_at", "execution_id"),
    }
    assert EXECUTION_ID.fullmatch(body["execution_id"])
    assert TIMESTAMP.fullmatch(body["executed_at"])
    assert isinstance(body["duration_ms"], int)
    for name in ("exit_code", "duration_ms", "executed_at", "execution_id", "trace_id"):
        assert body["data"][name] == body[name]
    assert not {"stdout", "stderr"} & set(body["data"])  # long output travels once
    row = promises.row(body["trace_id"])
    assert (row["execution"], row["action"]) == (body["execution_id"], "TRUE")
    run_row = promises.service.sql(
        "SELECT state, status, trace_id::text, key_prefix FROM command_runs"
        " WHERE execution_id = %s",
        [body["execution_id"]],
    )
    prefix = promises.service.key.split("_")[1]
    assert run_row == [("ended", "APPROVED", body["trace_id"], prefix)]


@pytest.mark.produces("E0_nonzero_exit")
def test_another_exit_code_is_a_warning(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "EXIT_THREE"), 200, "WARNING", ["E0_nonzero_exit"])
    assert (body["exit_code"], body["stdout"]) == (3, "partly done\n")
    assert body["stderr"] == "what went wrong\n"
    assert body["data"]["exit_code"] == 3


@pytest.mark.produces("E0_nonzero_exit")
def test_the_end_by_a_signal_is_a_warning(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "DIE_BY_SIGNAL"), 200, "WARNING", ["E0_nonzero_exit"])
    assert body["exit_code"] is None


@pytest.mark.produces("E7_output_truncated")
def test_output_over_its_limit_is_cut_and_says_so(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "PRINT_MUCH"), 200, "APPROVED", ["E7_output_truncated"])
    assert body["exit_code"] == 0
    assert 0 < len(body["stdout"]) <= 1024


def test_bytes_that_are_no_text_are_replaced(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "PRINT_STRANGELY"), 200)
    assert body["stdout"].startswith("a\ufffdb")
    assert body["stdout"].endswith("c")
    stored = promises.service.sql(
        "SELECT stdout FROM command_runs WHERE execution_id = %s", [body["execution_id"]]
    )
    assert stored == [("a\ufffdb\ufffdc",)]


@pytest.mark.produces("E12_timeout")
def test_a_run_past_its_time_is_blocked(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "SLEEP_SHORT"), 200, "BLOCKED", ["E12_timeout"])
    assert body["exit_code"] is None
    assert EXECUTION_ID.fullmatch(body["execution_id"])


@pytest.mark.produces("E6_spawn_failed")
def test_a_program_that_cannot_start_is_blocked(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "NO_SUCH_PROGRAM"), 200, "BLOCKED", ["E6_spawn_failed"])
    assert (body["exit_code"], body["stdout"], body["stderr"]) == (None, "", "")


@pytest.mark.produces("G8_unknown_action")
def test_an_unknown_command_is_blocked(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "FORMAT_DISK"), 200, "BLOCKED", ["G8_unknown_action"])
    assert body["execution_id"] is None
    assert (body["exit_code"], body["stdout"], body["stderr"]) == (None, "", "")


@pytest.mark.produces("G9_action_disabled")
def test_a_disabled_command_is_blocked(promises: Promises, client: httpx.Client) -> None:
    body = promises.held(run(client, "DISABLED"), 200, "BLOCKED", ["G9_action_disabled"])
    assert body["execution_id"] is None


def test_the_alias_runs_the_same_adapter(promises: Promises, client: httpx.Client) -> None:
    promises.held(run(client, "TRUE", "/process"), 200)
    promises.held(run(client, "FORMAT_DISK", "/process"), 200, "BLOCKED", ["G8_unknown_action"])


@pytest.mark.parametrize("where", ["session_id", "sessionId", "X-Session-Id"])
def test_a_session_is_kept_wherever_it_stands(
    promises: Promises, client: httpx.Client, where: str
) -> None:
    if where.startswith("X-"):
        response = client.post("/api/execute", json={"command": "TRUE"}, headers={where: "s 1"})
    else:
        response = client.post("/api/execute", json={"command": "TRUE", where: "s 1"})
    body = promises.held(response, 200)
    assert promises.row(body["trace_id"])["session"] == "s 1"


@pytest.fixture(scope="module")
def narrow(start_service: Services) -> Iterator[Service]:
    """A service that runs one command at a time and lets nobody wait."""
    with start_service(TECHNO_RUN_SLOTS="1", TECHNO_RUN_WAITERS="0", TECHNO_WORKERS="1") as service:
        yield service


@pytest.mark.slow
@pytest.mark.produces("G12_timeout", "E12_timeout")
def test_without_a_free_slot_a_command_is_blocked(narrow: Service) -> None:
    promises = Promises(narrow)
    with ThreadPoolExecutor(1) as pool, narrow.client() as client, narrow.client() as second:
        first = pool.submit(run, client, "SLEEP_LONG")
        while narrow.sql("SELECT 1 FROM command_runs WHERE state = 'running'") == []:
            time.sleep(0.05)
        asked_s = time.monotonic()
        body = promises.held(run(second, "TRUE"), 200, "BLOCKED", ["G12_timeout"])
        assert time.monotonic() - asked_s < ANSWER_LIMIT_S
        assert body["execution_id"] is None
        promises.held(second.get("/api/memory"), 200)  # threads are left for what runs nothing
        body = promises.held(first.result(), 200, "BLOCKED", ["E12_timeout"])
        assert body["duration_ms"] < ANSWER_LIMIT_S * 1000
        promises.held(run(second, "TRUE"), 200)


@pytest.mark.slow
@pytest.mark.produces("E12_timeout")
def test_every_answer_leaves_within_the_callers_window(
    promises: Promises, client: httpx.Client
) -> None:
    asked_s = time.monotonic()
    response = run(client, "SLEEP_TREE")
    assert time.monotonic() - asked_s < ANSWER_LIMIT_S
    body = promises.held(response, 200, "BLOCKED", ["E12_timeout"])
    assert promises.service.sql(
        "SELECT state, status FROM command_runs WHERE execution_id = %s", [body["execution_id"]]
    ) == [("ended", "BLOCKED")]
