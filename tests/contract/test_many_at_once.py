"""Many callers at once: as many rows as answers, each answer with its own."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.contract.promises import Promises
from tests.service import Service

REQUESTS = 200
CALLERS = 32


def test_two_hundred_mixed_requests_leave_two_hundred_rows(service: Service) -> None:
    session = f"many-{secrets.token_hex(6)}"
    headers = {"X-Session-Id": session}
    as_json = {"Content-Type": "application/json"}
    kinds = (
        ("GET", "/api/memory", {}, 200),
        ("POST", "/api/execute", {"json": {"command": "TRUE"}}, 200),
        ("GET", "/api/audit", {"params": {"limit": 3}}, 200),
        ("POST", "/api/execute", {"content": b"{", "headers": as_json}, 400),
        ("GET", "/api/diagnostic/metrics", {}, 200),
        ("GET", "/api/nothing", {}, 404),
        ("DELETE", "/audit/fetch", {}, 405),
        ("POST", "/process", {"json": {"command": "FORMAT_DISK"}}, 200),
        ("POST", "/api/execute", {"json": {"command": "EXIT_THREE"}}, 200),
        ("GET", "/api/memory", {"headers": {"X-API-Key": "wrong"}}, 401),
    )  # fmt: skip

    with service.client(**headers) as client, ThreadPoolExecutor(CALLERS) as pool:

        def ask(number: int) -> tuple[httpx.Response, int]:
            method, path, more, expected = kinds[number % len(kinds)]
            return client.request(method, path, **more), expected

        answers = list(pool.map(ask, range(REQUESTS)))
    assert [answer.status_code for answer, _ in answers] == [wanted for _, wanted in answers]
    promises = Promises(service)
    traces = {promises.envelope(answer)["trace_id"] for answer, _ in answers}
    assert len(traces) == REQUESTS
    stored = service.sql(
        "SELECT l.trace_id::text, t.http_status FROM audit_logs l"
        " JOIN audit_traces t USING (trace_id) WHERE l.session_id = %s",
        [session],
    )
    assert len(stored) == REQUESTS
    by_trace = dict(stored)
    for answer, _ in answers:
        assert by_trace[answer.json()["trace_id"]] == answer.status_code
