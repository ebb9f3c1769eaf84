"""Secret parameters of a run that a worker starts: sealed on the way, masked as they come out."""

from __future__ import annotations

import httpx

from tests.fleet.scene import Scene, joined

TOKEN, KEY = "hunter2!", "-----BEGIN KEY-----\nabcdefghijkl\n-----END KEY-----"


def test_a_worker_gets_them_and_nobody_else_does(fleet: Scene, client: httpx.Client) -> None:
    answer = client.post(
        "/api/execute",
        json={"command": "TELL_SECRETS", "params": {"token": TOKEN, "key": KEY}},
        headers={"Prefer": "respond-async", "Idempotency-Key": "with a secret"},
    )
    assert answer.status_code == 202, answer.text
    execution_id = answer.json()["execution_id"]
    body = fleet.ended(client, execution_id)
    assert body["status"] == "APPROVED", body
    output = client.get(f"/api/runs/{execution_id}/output").json()["data"]
    assert joined(output, "stdout").startswith(b"token ***.\n***\n"), output
    assert joined(output, "stderr") == b"***"
    printed = joined(output).decode()
    kept = fleet.service.sql(
        "SELECT row_to_json(r)::text FROM command_runs r WHERE execution_id = %s", [execution_id]
    )
    remembered = fleet.service.sql(
        "SELECT row_to_json(i)::text FROM executor_idempotency i WHERE execution_id = %s",
        [execution_id],
    )
    assert len(remembered) == 1
    seen = f"{answer.text} {body} {printed} {kept} {remembered} {fleet.service.full_output}"
    for secret in (TOKEN, *KEY.splitlines()):
        assert secret not in seen
