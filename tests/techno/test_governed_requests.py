"""The guarantee around governed paths, with views that nobody prepared for it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from audit.models import AuditLog, AuditTrace
from techno.access.change import revoke_key
from techno.access.issue import issue_key
from techno.governance.principal import Scope

pytestmark = pytest.mark.usefixtures("database")
SECRETS = (b"nobody shall see", b"hunter2", b"secret", b"Traceback", b"RuntimeError")


@pytest.fixture
def client(settings: Any) -> Client:
    settings.ROOT_URLCONF = "tests.techno.governed_urls"
    settings.KEY_CACHE_S = 0
    return Client(raise_request_exception=False)


def held(answer: Any, http_status: int, status: str, codes: list[str]) -> AuditTrace:
    """Assert the envelope and its one row; return the companion."""
    body = answer.json()
    assert (answer.status_code, body["status"], body["reason_codes"]) == (
        http_status,
        status,
        codes,
    )
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not any(secret in answer.content for secret in SECRETS)
    trace: AuditTrace = AuditTrace.objects.get(trace_id=answer.headers["X-Trace-Id"])
    row = AuditLog.objects.get(trace_id=trace.trace_id)
    assert (row.reason_codes, trace.status, trace.http_status) == (codes, status, http_status)
    return trace


@pytest.mark.parametrize(
    ("name", "http_status", "codes"),
    [
        ("teapot", 418, ["E_unknown"]),
        ("moved", 302, ["E_unknown"]),
        ("created", 201, ["E_unknown"]),
        ("gone", 410, ["E_unknown"]),
        ("busy", 503, ["E5_internal_error"]),
        ("bad", 400, ["G11_invalid_payload"]),
    ],
)
def test_a_status_that_nobody_defined_is_blocked(
    client: Client, name: str, http_status: int, codes: list[str]
) -> None:
    held(client.get(f"/api/status/{name}"), http_status, "BLOCKED", codes)


def test_a_crash_is_blocked_and_tells_nothing(client: Client) -> None:
    held(client.get("/api/crash"), 500, "BLOCKED", ["E5_internal_error"])


def test_what_django_refuses_is_an_envelope_too(client: Client) -> None:
    held(client.get("/api/hide"), 404, "BLOCKED", ["G8_unknown_action"])
    held(client.get("/api/nothing"), 404, "BLOCKED", ["G8_unknown_action"])
    answer = client.get("/api/post-only")
    held(answer, 405, "BLOCKED", ["G8_unknown_action"])
    assert answer.headers["Allow"] == "POST"
    held(client.get("/api/forbid"), 403, "BLOCKED", ["G2_scope_denied"])


# -- the decorator for plain views -----------------------------------------------------------------


def test_a_plain_view_is_opened_by_a_key_with_its_scope(client: Client) -> None:
    issued = issue_key(label="reader", scopes=[Scope.AUDIT_READ])
    answer = client.get("/api/guarded", headers={"X-API-Key": issued.text})
    assert answer.json() == {"who": issued.key.prefix}
    trace = AuditTrace.objects.get(trace_id=answer.headers["X-Trace-Id"])
    assert (trace.key_prefix, trace.status) == (issued.key.prefix, "APPROVED")


def test_a_plain_view_is_closed_to_all_others(client: Client) -> None:
    narrow = issue_key(label="runner", scopes=[Scope.EXECUTE])
    revoked = issue_key(label="gone", scopes=[Scope.AUDIT_READ])
    revoke_key(revoked.key.prefix)
    for text in ("", "nonsense", revoked.text):
        answer = client.get("/api/guarded", headers={"X-API-Key": text} if text else {})
        trace = held(answer, 401, "BLOCKED", ["G0_auth_not_configured"])
        assert answer.headers["WWW-Authenticate"] == "ApiKey"
        assert trace.key_prefix == ""
        assert trace.detail["refused"]
    answer = client.get("/api/guarded", headers={"X-API-Key": narrow.text})
    trace = held(answer, 403, "BLOCKED", ["G2_scope_denied"])
    assert trace.key_prefix == narrow.key.prefix


def test_the_decorator_works_outside_of_governed_paths(client: Client) -> None:
    issued = issue_key(label="reader", scopes=[Scope.AUDIT_READ])
    answer = client.get("/plain/guarded", headers={"X-API-Key": issued.text})
    assert answer.json() == {"who": issued.key.prefix}
    answer = client.get("/plain/guarded")
    assert (answer.status_code, answer.json()["status"]) == (401, "BLOCKED")
    trace_id = answer.json()["trace_id"]
    assert not AuditLog.objects.filter(trace_id=trace_id).exists()


def test_a_session_from_the_header_is_recorded_harmlessly(client: Client) -> None:
    answer = client.get("/api/nothing", headers={"X-Session-Id": "a\u202eb" + "c" * 300})
    trace = held(answer, 404, "BLOCKED", ["G8_unknown_action"])
    assert trace.session_id.startswith("a\\u202ebccc")
    assert len(trace.session_id) <= 128


def test_only_the_trusted_proxy_names_the_caller(client: Client, settings: Any) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.5"}
    answer = client.get("/api/nothing", headers=forwarded)
    assert held(answer, 404, "BLOCKED", ["G8_unknown_action"]).user_ip == "127.0.0.1"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    behind_a_proxy = Client()
    answer = behind_a_proxy.get("/api/nothing?" + urlencode({"x": "1"}), headers=forwarded)
    assert held(answer, 404, "BLOCKED", ["G8_unknown_action"]).user_ip == "203.0.113.5"
