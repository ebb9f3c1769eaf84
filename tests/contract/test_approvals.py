"""A run that needs approval, from outside: asked for, decided about, lapsed, read."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.promises import Promises
from tests.service import Service

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
