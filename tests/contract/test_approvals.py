"""A run that needs approval, from outside: asked for, decided about, lapsed, read."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from techno.processes import wait_until
from tests.contract.promises import Promises
from tests.portal_session import browsers, send
from tests.service import Service

pytestmark = pytest.mark.slow
ENDED_LIMIT_S = 60.0
ACTION = "NEEDS_APPROVAL"


@pytest.fixture(scope="module")
def approving(service: Service) -> Service:
    """The shared service with an action that two people of a group must approve."""
    service.add_action(
        ACTION, ["/bin/echo", "done"], approvals_needed=1, reason_pattern="OPS-[0-9]+"
    )
    return service


def ask(client: httpx.Client, reason: str = "OPS-7") -> httpx.Response:
    return client.post("/api/execute", json={"command": ACTION, "reason": reason})


@pytest.mark.produces("G14_approval_required")
def test_the_answer_says_what_the_run_waits_for(
    approving: Service, promises: Promises, client: httpx.Client
) -> None:
    response = ask(client)
    body = promises.held(response, 202, "NEUTRAL", ["G14_approval_required"])
    assert response.headers["Location"] == f"/api/runs/{body['execution_id']}"
    approval = body["data"]["approval"]
    assert approval["state"] == "waiting"
    assert (approval["needed"], approval["given"], approval["groups"]) == (1, 0, [])
    assert approval["reason"] == "OPS-7"
    state = "SELECT state, argv FROM command_runs WHERE execution_id = %s"
    assert approving.sql(state, [body["execution_id"]]) == [("waiting", ["/bin/echo", "done"])]


@pytest.mark.parametrize("reason", ["", "no ticket", "OPS-7\nOPS-8", "OPS-٣"])
def test_without_the_right_reason_nothing_waits(
    approving: Service, promises: Promises, client: httpx.Client, reason: str
) -> None:
    response = ask(client, reason)
    body = promises.held(response, 400, "BLOCKED", ["G11_invalid_payload"])
    assert "reason" in body["message"]
    trace = "SELECT 1 FROM command_runs WHERE trace_id = %s"
    assert approving.sql(trace, [body["trace_id"]]) == []


def test_approvals_are_read_by_whom_they_concern(
    approving: Service, promises: Promises, client: httpx.Client
) -> None:
    asking = approving.issue_key("--scope", "execute", "--scope", "approvals:read", label="asks")
    with approving.client(asking) as own, approving.client() as everybody:
        made = [ask(own).json()["execution_id"] for _ in range(3)]
        others = ask(everybody).json()["execution_id"]
        first = promises.held(own.get("/api/approvals?limit=2"), 200)
        second = promises.held(own.get("/api/approvals", params={"cursor": first["next"]}), 200)
        seen = [entry["execution_id"] for entry in first["data"] + second["data"]]
        assert seen == made[::-1]
        assert second["next"] is None
        everything = promises.held(
            everybody.get("/api/approvals", params={"state": "waiting", "action": ACTION}), 200
        )
        found = {entry["execution_id"]: entry for entry in everything["data"]}
        assert {*made, others} <= found.keys()
        assert found[made[0]]["requester"] == "asks"
        assert found[made[0]]["argv"] == ["/bin/echo", "done"]
        for query in ("state=x", "limit=0", "cursor=x", "nothing=1", "state=all&state=all"):
            promises.held(
                own.get(f"/api/approvals?{query}"), 400, "BLOCKED", ["G11_invalid_payload"]
            )
    with approving.client(approving.issue_key("--scope", "execute")) as stranger:
        promises.held(stranger.get("/api/approvals"), 403, "BLOCKED", ["G2_scope_denied"])


@pytest.fixture(scope="module")
def people(approving: Service) -> Iterator[dict[str, httpx.Client]]:
    """Three people who may decide, one of whom owns the key ``owned``."""
    names = ("approver-a", "approver-b", "owner")
    made = browsers(approving, names, permissions=("approve_run", "view_commandrun"))
    yield made
    for browser in made.values():
        browser.close()


def decide(browser: httpx.Client, execution_id: str, decision: str) -> httpx.Response:
    path = f"/admin/executor/approval/{execution_id}/decide/"
    return send(browser, path, decision=decision, reason="read and understood")


def ended(client: httpx.Client, execution_id: str) -> httpx.Response:
    """Return the run's answer once it has ended."""

    def is_over() -> bool:
        return client.get(f"/api/runs/{execution_id}").json().get("state") == "ended"

    assert wait_until(is_over, ENDED_LIMIT_S)
    return client.get(f"/api/runs/{execution_id}")


def test_an_approved_run_starts_once_and_tells_its_end(
    approving: Service, promises: Promises, client: httpx.Client, people: dict[str, httpx.Client]
) -> None:
    execution_id = ask(client).json()["execution_id"]
    waits = promises.held(
        client.get(f"/api/runs/{execution_id}"), 202, "NEUTRAL", ["G14_approval_required"]
    )
    assert waits["state"] == "waiting"
    assert decide(people["approver-a"], execution_id, "approve").status_code == 200
    assert decide(people["approver-b"], execution_id, "approve").status_code == 200  # too late
    body = promises.held(ended(client, execution_id), 200)
    assert body["stdout"] == "done\n"
    approval = body["data"]["approval"]
    assert (approval["state"], approval["given"]) == ("approved", 1)
    assert [each["person"] for each in approval["decisions"]] == ["approver-a"]
    rows = approving.sql(
        "SELECT action, status FROM audit_traces WHERE execution_id = %s"
        " AND action NOT IN ('run.read') ORDER BY trace_id",
        [execution_id],
    )
    assert sorted(rows) == sorted(
        [
            (ACTION, "NEUTRAL"),
            ("approval.approve", "APPROVED"),
            ("approval.approve", "BLOCKED"),
            (ACTION, "APPROVED"),
        ]
    )
    sealed = "SELECT sealed FROM command_runs WHERE execution_id = %s"
    assert approving.sql(sealed, [execution_id]) == [("",)]


@pytest.mark.produces("G15_approval_denied")
def test_a_refused_run_never_starts(
    approving: Service, promises: Promises, client: httpx.Client, people: dict[str, httpx.Client]
) -> None:
    execution_id = ask(client).json()["execution_id"]
    decide(people["approver-a"], execution_id, "refuse")
    body = promises.held(
        client.get(f"/api/runs/{execution_id}"), 200, "BLOCKED", ["G15_approval_denied"]
    )
    assert body["data"]["started_at"] is None
    assert body["data"]["approval"]["decisions"][0]["reason"] == "read and understood"


@pytest.mark.produces("G16_approval_expired")
def test_what_nobody_decides_lapses(
    approving: Service, promises: Promises, client: httpx.Client
) -> None:
    execution_id = ask(client).json()["execution_id"]
    past = "UPDATE executor_approvals SET expires_at = now() WHERE execution_id = %s"
    approving.sql(past, [execution_id])
    promises.held(client.get(f"/api/runs/{execution_id}"), 200, "EXPIRED", ["G16_approval_expired"])


def test_nobody_approves_what_their_own_key_asked_for(
    approving: Service, client: httpx.Client, people: dict[str, httpx.Client]
) -> None:
    key = approving.issue_key("--owner", "Owner", label="owned")
    with approving.client(key) as own:
        execution_id = ask(own).json()["execution_id"]
    page = decide(people["owner"], execution_id, "approve")
    assert "Nobody decides about their own request" in page.text
    assert client.get(f"/api/runs/{execution_id}").json()["state"] == "waiting"


def test_an_action_that_changed_after_its_approval_does_not_run(
    approving: Service, promises: Promises, client: httpx.Client, people: dict[str, httpx.Client]
) -> None:
    execution_id = ask(client).json()["execution_id"]
    approving.sql("UPDATE executor_actions SET version = version + 1 WHERE name = %s", [ACTION])
    decide(people["approver-a"], execution_id, "approve")
    promises.held(ended(client, execution_id), 200, "BLOCKED", ["G15_approval_denied"])
    state = "SELECT state FROM executor_approvals WHERE execution_id = %s"
    assert approving.sql(state, [execution_id]) == [("void",)]


def test_a_repeated_request_waits_once(
    approving: Service, promises: Promises, client: httpx.Client
) -> None:
    headers = {"Idempotency-Key": "approve-me-once"}
    body = {"command": ACTION, "reason": "OPS-9"}
    first, second = (client.post("/api/execute", json=body, headers=headers) for _ in range(2))
    for response in (first, second):
        promises.held(response, 202, "NEUTRAL", ["G14_approval_required"])
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json()["execution_id"] == first.json()["execution_id"]
    assert second.headers["Location"] == first.headers["Location"]


@pytest.mark.produces("E8_cancelled")
def test_a_cancelled_request_is_withdrawn(
    promises: Promises, client: httpx.Client, people: dict[str, httpx.Client]
) -> None:
    execution_id = ask(client).json()["execution_id"]
    cancelled = client.post(f"/api/runs/{execution_id}/cancel", json={"reason": "changed my mind"})
    assert cancelled.json()["data"]["reason_codes"] == ["E8_cancelled"]
    decide(people["approver-a"], execution_id, "approve")
    promises.held(client.get(f"/api/runs/{execution_id}"), 200, "BLOCKED", ["E8_cancelled"])
