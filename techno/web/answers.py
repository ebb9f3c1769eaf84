"""Making the envelope an HTTP answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse

from techno.gate import Governed
from techno.governance import envelope
from techno.governance.status import Status
from techno.governance.verdict import APPROVED, Verdict

#: Where a console looks when this path is BLOCKED (contract, "The fallback chain").
FALLBACKS = {
    "/api/audit": "/api/diagnostic/metrics",
    "/audit/fetch": "/api/diagnostic/metrics",
}
JSON = "application/json"


def governed_of(request: Any) -> Governed:
    """Return the governed act that the middleware opened for this request."""
    governed: Governed = request.governed
    return governed


def body_for(
    governed: Governed,
    path: str,
    verdict: Verdict,
    data: Any = None,
    beside: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the envelope of an answer, with the fallback where the contract wants one."""
    body = envelope.build(
        verdict,
        trace_id=governed.trace.trace_id,
        ts_utc=governed.trace.timestamp,
        data=data,
        beside=beside,
    )
    if verdict.status is Status.BLOCKED and path in FALLBACKS:
        body["fallback"] = FALLBACKS[path]
    return body


class Answer(HttpResponse):
    """An envelope, rendered. Its verdict travels with it, for the audit row.

    Not a response of DRF's: those are rendered late, for a format to be chosen, and there is one.
    Raises ``TypeError`` for a body that is not JSON.
    """

    def __init__(self, body: Mapping[str, Any], verdict: Verdict) -> None:
        super().__init__(orjson.dumps(body), status=verdict.http_status, content_type=JSON)
        self.verdict = verdict
        self._has_been_logged = True  # by us, with its cause; Django would log it once more


def answer(
    request: Any,
    data: Any = None,
    verdict: Verdict = APPROVED,
    beside: Mapping[str, Any] | None = None,
) -> Answer:
    """Build a view's answer."""
    return Answer(body_for(request.governed, request.path, verdict, data, beside), verdict)


def plain_answer(request: HttpRequest, governed: Governed, verdict: Verdict) -> Answer:
    """Build an answer without a view: for what failed before or after one."""
    return Answer(body_for(governed, request.path, verdict), verdict)
