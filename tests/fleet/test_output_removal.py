"""Old output as a console sees it go: the keeper removes it, the run says so, a row counts it."""

from __future__ import annotations

import httpx
import pytest

from techno.processes import wait_until
from tests.contract.promises import Promises
from tests.service import Service, Services

pytestmark = pytest.mark.slow
REMOVED_LIMIT_S = 60.0
NOTE = "The output was removed after 31 days."
ACTIONS = """
[action.SAY_SOMETHING]
argv = ["/bin/echo", "something"]
"""


def grow_old(service: Service, *execution_ids: str) -> None:
    service.sql(
        "UPDATE command_runs SET ended_at = now() - interval '31 days 1 hour'"
        " WHERE execution_id = ANY(%s)",
        [list(execution_ids)],
    )


def ask(client: httpx.Client, **headers: str) -> str:
    body = {"command": "SAY_SOMETHING"}
    answer = client.post("/api/execute", json=body, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["execution_id"])


def test_output_is_removed_after_its_time_and_the_api_says_so(start_service: Services) -> None:
    with start_service(TECHNO_OUTPUT_KEEP_DAYS="30") as service, service.client() as client:
        path = service.directory / "say.toml"
        path.write_text(ACTIONS, encoding="utf-8")
        service.manage("actions", "load", str(path))
        promises = Promises(service)
        here, queued, young = ask(client), ask(client, Prefer="respond-async"), ask(client)

        def told(execution_id: str) -> httpx.Response:
            return client.get(f"/api/runs/{execution_id}")

        assert wait_until(lambda: told(queued).status_code == 200, REMOVED_LIMIT_S)
        grow_old(service, here, queued)
        for run in (here, queued):
            assert wait_until(
                lambda run=run: told(run).json()["data"]["output_note"] == NOTE, REMOVED_LIMIT_S
            )
            body = promises.held(told(run), 200)
            assert (body["stdout"], body["exit_code"]) == ("", 0)
            assert body["data"]["output_removed_at"] > body["data"]["ended_at"]
            page = promises.held(client.get(f"/api/runs/{run}/output"), 200)
            assert (page["data"], page["ended"], page["output_note"]) == ([], True, NOTE)
        body = promises.held(told(young), 200)
        assert (body["stdout"], body["data"]["output_note"]) == ("something\n", None)
        page = promises.held(client.get(f"/api/runs/{young}/output"), 200)
        assert page["output_removed_at"] is None
        left = "SELECT count(*) FROM command_run_output WHERE execution_id = ANY(%s)"
        assert service.sql(left, [[here, queued]]) == [(0,)]
        rows = service.sql(
            "SELECT status, principal_label, (detail ->> 'runs')::int FROM audit_traces"
            " WHERE action = 'run.output.remove'"
        )
        assert {row[:2] for row in rows} == {("APPROVED", "keeper")}
        assert sum(count for *_, count in rows) == 2
