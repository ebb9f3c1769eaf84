"""Methods, paths and headers: whatever is asked under ``/api/`` is answered and recorded."""

from __future__ import annotations

import httpx
import pytest

from tests.contract import wire
from tests.contract.promises import Promises
from tests.service import Service

UNKNOWN = ["G8_unknown_action"]
READS = ["/api/audit", "/api/memory", "/api/diagnostic/metrics", "/audit/fetch"]
RUNS = ["/api/execute", "/process"]
ODD_METHODS = ["OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "BREW", "PROPFIND"]
NOWHERE = [
    "/api",
    "/api/",
    "/api/nothing",
    "/api/memory/",
    "/api/execute/",
    "/api//memory",
    "/api/memory%2f",
    "/api/memory%00",
    "/api/memory%0a",
    "/api/memory;x=1",
    "/api/../api/memory",
    "/api/%ff%fe",
    "/api/%e2%80%ae",
    "/api/memory.json",
    "/api/Memory",
    "/api/" + "a" * 3000,
]


@pytest.mark.parametrize("path", READS)
def test_reads_answer(promises: Promises, client: httpx.Client, path: str) -> None:
    promises.held(client.get(path), 200)


@pytest.mark.produces(*UNKNOWN)
@pytest.mark.parametrize("method", ODD_METHODS)
@pytest.mark.parametrize("path", [*READS, *RUNS])
def test_a_method_that_no_endpoint_knows(
    promises: Promises, client: httpx.Client, path: str, method: str
) -> None:
    answer = client.request(method, path)
    promises.held(answer, 405, "BLOCKED", UNKNOWN)
    assert answer.headers["Allow"] == ("GET" if path in READS else "POST")


@pytest.mark.parametrize(("method", "paths"), [("POST", READS), ("GET", RUNS)])
def test_the_other_endpoints_method(
    promises: Promises, client: httpx.Client, method: str, paths: list[str]
) -> None:
    for path in paths:
        promises.held(client.request(method, path), 405, "BLOCKED", UNKNOWN)


@pytest.mark.parametrize(("path", "status"), [("/api/memory", 405), ("/api/nothing", 404)])
def test_head_has_a_row_and_no_body(
    promises: Promises, client: httpx.Client, path: str, status: int
) -> None:
    promises.refused_head(client.head(path), status, UNKNOWN)


@pytest.mark.parametrize("path", NOWHERE, ids=[path[:20] for path in NOWHERE])
def test_an_address_that_does_not_exist(promises: Promises, service: Service, path: str) -> None:
    for method in ("GET", "POST"):
        answer = wire.ask(service, method, path, [("X-API-Key", service.key)])
        promises.held(answer, 404, "BLOCKED", UNKNOWN)


def test_an_unknown_address_needs_no_key_to_be_refused(
    promises: Promises, service: Service
) -> None:
    promises.held(wire.ask(service, "GET", "/api/nothing"), 404, "BLOCKED", UNKNOWN)


@pytest.mark.parametrize(
    "target", ["/api/%6demory", "/%61pi/memory", "http://localhost/api/memory", "/api/memory?"]
)
def test_an_address_in_other_words(promises: Promises, service: Service, target: str) -> None:
    answer = wire.ask(service, "GET", target, [("X-API-Key", service.key)])
    body = promises.held(answer, 200)
    assert promises.row(body["trace_id"])["path"] == "/api/memory"


def test_a_path_is_recorded_harmlessly(promises: Promises, service: Service) -> None:
    answer = wire.ask(service, "GET", "/api/%00%1b[31m" + "x" * 600)
    body = promises.held(answer, 404, "BLOCKED", UNKNOWN)
    path = promises.row(body["trace_id"])["path"]
    assert path.startswith("/api/\\u0000\\u001b[31mxxx")
    assert len(path) <= 512
    assert path.isprintable()


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "image/*", "nonsense", "*/*;q=0"]
)
def test_there_is_one_format(promises: Promises, client: httpx.Client, accept: str) -> None:
    promises.held(client.get("/api/memory", headers={"Accept": accept}), 200)
    promises.held(client.get("/api/memory?format=api", headers={"Accept": accept}), 200)


# -- what the HTTP server itself cannot read ------------------------------------------------------

TOO_LARGE = ["G7_payload_limit"]
UNREADABLE = ["G10_body_parse_error"]


def test_a_huge_header(promises: Promises, service: Service) -> None:
    headers = [("X-API-Key", service.key), ("X-Big", "a" * 20_000)]
    answer = wire.ask(service, "GET", "/api/memory", headers)
    promises.held(answer, 431, "BLOCKED", TOO_LARGE, unread=True)


def test_too_many_headers(promises: Promises, service: Service) -> None:
    headers = [(f"X-{number}", "a") for number in range(300)]
    answer = wire.ask(service, "GET", "/api/memory", headers)
    promises.held(answer, 431, "BLOCKED", TOO_LARGE, unread=True)


def test_a_huge_address(promises: Promises, service: Service) -> None:
    answer = wire.ask(service, "GET", "/api/memory?x=" + "a" * 9000)
    promises.held(answer, 414, "BLOCKED", TOO_LARGE, unread=True)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /api/memory HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n",
        b"GET /api/memory HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        b"GET /api/memory HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /api/memory HTTP/7.3\r\nHost: x\r\n\r\n",
        b"get /api/memory HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\xc3\x89T /api/memory HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/memory\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /api/execute HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
    ids=[
        *("a space in a name", "no colon", "folded", "no such version", "a small method"),
        *("a strange method", "no version", "another protocol", "an unknown coding"),
    ],
)
def test_a_request_that_is_not_http(promises: Promises, service: Service, request_: bytes) -> None:
    promises.held(wire.send(service, request_), 400, "BLOCKED", UNREADABLE, unread=True)


# -- outside of the API ---------------------------------------------------------------------------


def test_health_is_public_and_leaves_no_row(service: Service) -> None:
    before = service.sql("SELECT count(*) FROM audit_logs WHERE session_id = 'health'")
    with service.client(key="", **{"X-Session-Id": "health"}) as client:
        answer = client.get("/health")
        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"
        assert set(answer.json()) == {"status", "timestamp"}
        assert client.post("/health").status_code in (403, 405)
        assert client.get("/admin/nothing/").status_code in (302, 404)
    assert service.sql("SELECT count(*) FROM audit_logs WHERE session_id = 'health'") == before


def test_prometheus_can_scrape(service: Service, client: httpx.Client) -> None:
    client.get("/api/memory")
    answer = httpx.get(f"{service.url}/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'techno_requests_total{endpoint="memory"' in answer.text
