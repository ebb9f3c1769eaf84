"""What the contract promises of every governed answer, held against one answer at a time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import httpx
import orjson
import schemathesis

from tests.isolation import REPOSITORY
from tests.service import Service

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
EXECUTION_ID = re.compile(r"[a-z0-9_]+")
STATUSES = {"APPROVED", "BLOCKED", "EXPIRED", "WARNING", "NEUTRAL"}
FALLBACK = "/api/diagnostic/metrics"
WITH_FALLBACK = ("/api/audit", "/audit/fetch")
_CLOCK_TOLERANCE = timedelta(minutes=2)
#: What a sentence for a caller must never hold: paths, SQL, stack traces, names of our parts.
_INTERNALS = re.compile(
    r"Traceback|File \"|\.py\b|\.sql\b|SELECT |INSERT |UPDATE |DELETE |relation \"|psycopg|django"
    r"|gunicorn|Error\b|Exception|/(?:home|root|tmp|usr|var|work|proc|nonexistent)\b|\bat 0x",
)
_COMPANION_SQL = """
SELECT l.reason_codes, t.reason_codes, t.status, t.http_status, t.key_prefix, t.action, t.message,
       t.session_id, l.session_id, l.user_ip, t.execution_id, t.path, t.detail,
       to_char(l."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
FROM audit_logs l JOIN audit_traces t USING (trace_id) WHERE l.trace_id = %s
"""
_COLUMNS = (
    *("log_codes", "codes", "status", "http_status", "key", "action", "message"),
    *("session", "log_session", "address", "execution", "path", "detail", "timestamp"),
)


class Promises:
    """Holds the answers of one service to the contract, each with its row in the database."""

    #: Every reason code that an answer was seen to carry, by this process.
    seen: set[str] = set()

    def __init__(self, service: Service) -> None:
        self.service = service

    def held(
        self,
        response: httpx.Response,
        http_status: int,
        status: str = "APPROVED",
        codes: Iterable[str] = (),
        *,
        unread: bool = False,
    ) -> dict[str, Any]:
        """Assert all that holds for any answer, and these three things; return the body.

        ``unread`` is for requests that are no HTTP, whose refusals no endpoint documents.
        """
        expected = list(codes)
        body = self.envelope(response)
        if not unread:
            self._documented(response)
        told = (response.status_code, body["status"], body["reason_codes"])
        assert told == (http_status, status, expected), body
        self.row(body["trace_id"], body, http_status)
        self.seen.update(expected)
        return body

    def refused_head(self, response: httpx.Response, http_status: int, codes: list[str]) -> None:
        """Assert what holds for an answer without a body."""
        assert response.status_code == http_status
        assert response.content == b""
        assert response.headers["Cache-Control"] == "no-store"
        row = self.row(response.headers["X-Trace-Id"])
        assert row["codes"] == codes

    def envelope(self, response: httpx.Response) -> dict[str, Any]:
        """Assert the form of an answer's headers and body; return the body."""
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers.get_list("X-Trace-Id", split_commas=False) == [
            response.headers["X-Trace-Id"]
        ]
        assert "Server" not in response.headers
        body: dict[str, Any] = orjson.loads(response.content)  # strict: no NaN, valid UTF-8
        assert body["trace_id"] == response.headers["X-Trace-Id"]
        identity = uuid.UUID(body["trace_id"])
        assert (str(identity), identity.version) == (body["trace_id"], 7)
        assert TIMESTAMP.fullmatch(body["ts_utc"])
        age = datetime.now(UTC) - datetime.fromisoformat(body["ts_utc"])
        assert abs(age) < _CLOCK_TOLERANCE
        assert identity.int >> 80 == round(
            datetime.fromisoformat(body["ts_utc"]).timestamp() * 1000
        )
        assert body["status"] in STATUSES
        assert isinstance(body["reason_codes"], list)
        self._data_or_message(response, body)
        self._fallback(response, body)
        return body

    def row(
        self, trace_id: str, body: dict[str, Any] | None = None, http_status: int = 0
    ) -> dict[str, Any]:
        """Assert that there is one row with one companion, both telling what ``body`` tells."""
        rows = self.service.sql(_COMPANION_SQL, [trace_id])
        assert len(rows) == 1
        row = dict(zip(_COLUMNS, rows[0], strict=True))
        assert row["log_codes"] == row["codes"]
        assert row["log_session"] == row["session"]
        assert row["address"] == "127.0.0.1"
        codes = self.service.sql(
            "SELECT code FROM audit_trace_codes WHERE trace_id = %s AND also = ''", [trace_id]
        )
        assert sorted(code for (code,) in codes) == sorted(set(row["codes"]))
        if body is not None:
            assert row["codes"] == body["reason_codes"]
            assert row["status"] == body["status"]
            assert row["timestamp"] == body["ts_utc"]
            assert row["http_status"] == http_status
            assert row["message"] == body.get("message", "")
        return row

    def _data_or_message(self, response: httpx.Response, body: dict[str, Any]) -> None:
        if body["status"] == "APPROVED":
            assert response.status_code == 200
            assert isinstance(body["data"], (dict, list))
            assert "message" not in body
            return
        message = body["message"]
        assert isinstance(message, str)
        assert message.strip() != ""
        assert _INTERNALS.search(message) is None, message
        assert str(REPOSITORY) not in response.text
        assert str(self.service.var_dir) not in response.text
        if response.status_code >= 400:
            assert body["status"] == "BLOCKED"
            assert "data" not in body

    def _fallback(self, response: httpx.Response, body: dict[str, Any]) -> None:
        expected = response.request.url.path in WITH_FALLBACK and body["status"] == "BLOCKED"
        assert body.get("fallback") == (FALLBACK if expected else None)
        assert response.headers.get("Link") == (
            f'<{FALLBACK}>; rel="alternate"' if expected else None
        )

    def _documented(self, response: httpx.Response) -> None:
        """Hold the answer to the OpenAPI document where that tells of its path and method."""
        schema = document(self.service)
        path, method = response.request.url.path, response.request.method
        if (
            path in schema.raw_schema["paths"]
            and method.lower() in schema.raw_schema["paths"][path]
        ):
            assert (
                str(response.status_code)
                in (schema.raw_schema["paths"][path][method.lower()]["responses"])
            )
            schema[path][method].validate_response(response)


@cache
def document(service: Service) -> Any:
    """Return the service's OpenAPI document, as schemathesis reads it."""
    answer = httpx.get(f"{service.url}/api/schema/?format=json")
    assert answer.status_code == 200
    return schemathesis.openapi.from_dict(answer.json())
