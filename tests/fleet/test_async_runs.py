"""Runs that nobody waits for: queued, run by a worker, followed, and told."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.contract.promises import Promises
from tests.fleet.scene import Scene, joined


@pytest.mark.produces("E1_queued", "E0_nonzero_exit")
def test_an_asynchronous_action_is_answered_before_it_ran(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    answer = client.post("/api/execute", json={"command": "FLEET_ASYNC"})
    body = promises.held(answer, 202, "NEUTRAL", ["E1_queued"])
    execution_id = body["execution_id"]
    assert answer.headers["Location"] == f"/api/runs/{execution_id}"
    ended = fleet.ended(client, execution_id)
    assert (ended["status"], ended["reason_codes"]) == ("WARNING", ["E0_nonzero_exit"])
    assert (ended["exit_code"], ended["stdout"]) == (3, "done\n")
    assert ended["data"]["trace_id"] == body["trace_id"]
    assert fleet.started().count(execution_id) == 1
    promises.seen.update(ended["reason_codes"])


def test_its_end_has_a_row_of_its_own_that_names_the_request(
    fleet: Scene, client: httpx.Client
) -> None:
    execution_id = fleet.run_async(client, "FLEET_MARK")
    body = fleet.ended(client, execution_id)
    ((status, action, request_trace, end_trace),) = fleet.end_rows(execution_id)
    assert (status, action) == ("APPROVED", "FLEET_MARK")
    assert request_trace == body["data"]["trace_id"]
    assert str(end_trace) != request_trace


def test_a_finished_job_is_gone_from_the_queue(fleet: Scene, client: httpx.Client) -> None:
    execution_id = fleet.run_async(client, "FLEET_MARK")
    fleet.ended(client, execution_id)
    left = "SELECT 1 FROM procrastinate_jobs WHERE args ->> 'execution_id' = %s"
    from techno.processes import wait_until

    assert wait_until(lambda: fleet.service.sql(left, [execution_id]) == [], 30)


@pytest.mark.produces("E12_timeout")
def test_a_run_past_its_time_is_ended(
    fleet: Scene, client: httpx.Client, promises: Promises
) -> None:
    execution_id = client.post("/api/execute", json={"command": "FLEET_SHORT"}).json()[
        "execution_id"
    ]
    body = fleet.ended(client, execution_id)
    assert (body["status"], body["reason_codes"]) == ("BLOCKED", ["E12_timeout"])
    assert "ran past" in body["data"]["ending"]
    promises.seen.update(body["reason_codes"])


def test_output_is_followed_byte_for_byte_and_can_be_resumed(
    fleet: Scene, client: httpx.Client
) -> None:
    execution_id = client.post("/api/execute", json={"command": "FLEET_PRINT"}).json()[
        "execution_id"
    ]
    pieces, after, ended = [], 0, False
    while not ended:
        body = client.get(f"/api/runs/{execution_id}/output", params={"after": after}).json()
        assert body["status"] == "APPROVED"
        for piece in body["data"]:
            assert piece["offset"] >= after
            assert piece["bytes"] == len(base64.b64decode(piece["base64"]))
        pieces += body["data"]
        after, ended = body["next"], body["ended"]
    assert joined(pieces, "stdout") == b"a\xffb\x00c\nlast\xc3"
    assert joined(pieces, "stderr") == b"err\xfe"
    # Any position is one to go on from, in the midst of a piece too.
    whole = joined(pieces)
    for after in (0, 1, 3, len(whole) - 1, len(whole), len(whole) + 5):
        body = client.get(
            f"/api/runs/{execution_id}/output", params={"after": after, "wait": 0}
        ).json()
        assert joined(body["data"]) == whole[after:]
    only = client.get(f"/api/runs/{execution_id}/output?stream=stderr&wait=0").json()
    assert joined(only["data"]) == b"err\xfe"


def test_long_output_comes_in_pages_up_to_its_limit(fleet: Scene, client: httpx.Client) -> None:
    execution_id = client.post("/api/execute", json={"command": "FLEET_MUCH"}).json()[
        "execution_id"
    ]
    body = fleet.ended(client, execution_id)
    assert (body["status"], body["reason_codes"]) == ("APPROVED", ["E7_output_truncated"])
    whole, after, ended = b"", 0, False
    while not ended:
        page = client.get(f"/api/runs/{execution_id}/output", params={"after": after}).json()
        whole += joined(page["data"])
        after, ended = page["next"], page["ended"]
    assert len(whole) == 200_000
    assert (
        whole.decode("utf-8", "ignore").replace("\0", "")[:50]
        in body["stdout"].replace("\ufffd", "")
        or len(body["stdout"]) > 0
    )


def test_output_of_a_run_that_was_answered_whole_can_be_read_too(
    fleet: Scene, client: httpx.Client
) -> None:
    body = client.post("/api/execute", json={"command": "FLEET_MARK"}).json()
    page = client.get(f"/api/runs/{body['execution_id']}/output").json()
    assert (joined(page["data"]), page["ended"]) == (b"done\n", False)
    rest = client.get(f"/api/runs/{body['execution_id']}/output?after={page['next']}").json()
    assert (rest["data"], rest["ended"]) == ([], True)
