"""The guarantee around every governed path: one trace, one envelope, one row before the answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation

from audit.recorder import AuditUnavailable
from techno.gate import Governed, begin, conclude, unavailable
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import APPROVED, Verdict, refuse
from techno.web import front_door, instruments
from techno.web.answers import FALLBACKS, plain_answer
from techno.web.client_address import client_address, networks
from techno.web.cors import PREFLIGHT, is_preflight
from techno.web.direct import Views, is_governed

log = structlog.get_logger(__name__)
GetResponse = Callable[[HttpRequest], HttpResponseBase]


class _Thread(threading.local):
    """What this thread did before."""

    #: A page leaves its reader's language behind: it may still be made while it is sent.
    served_a_page = False


_thread = _Thread()


class GovernedRequests:
    """Opens a governed act for each request under a governed path, and concludes it.

    It is the outermost middleware: whatever happens inside, a crash of the framework included,
    comes back here as a response, gets its verdict, and leaves only once its row is durable.
    The middleware inside is the portal's; governed requests pass it by (``techno.web.direct``).
    """

    def __init__(
        self, get_response: GetResponse, governed_response: GetResponse | None = None
    ) -> None:
        self._get_response = get_response
        self._trusted = networks(settings.TRUSTED_PROXIES)
        self._governed_response = governed_response or Views().respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        if not is_governed(request.path_info):
            _thread.served_a_page = True
            return self._get_response(request)
        if _thread.served_a_page:
            translation.deactivate()
            _thread.served_a_page = False
        governed = self._begin(request)
        request.governed = governed  # type: ignore[attr-defined]
        structlog.contextvars.bind_contextvars(trace_id=governed.trace.trace_id)
        try:
            return self._answer(request, governed)
        finally:
            for release in governed.releases:
                release()
            structlog.contextvars.clear_contextvars()

    def _begin(self, request: HttpRequest) -> Governed:
        headers = request.META
        return begin(
            method=request.method or "",
            path=request.path_info,
            client_address=client_address(
                headers.get("REMOTE_ADDR", ""),
                headers.get("HTTP_X_FORWARDED_FOR", ""),
                self._trusted,
            ),
            user_agent=headers.get("HTTP_USER_AGENT", ""),
            session_id=headers.get("HTTP_X_SESSION_ID", ""),
        )

    def _answer(self, request: HttpRequest, governed: Governed) -> HttpResponseBase:
        """Get the response, make sure it is an envelope, record it, and let it go."""
        try:
            response = self._recorded(request, governed)
        except AuditUnavailable as error:
            instruments.AUDIT_FAILURES.inc()
            log.error(
                "the audit row could not be written; the answer was withheld",
                cause=str(error),
                next_step="restore PostgreSQL; requests are refused until it takes rows again",
            )
            response = plain_answer(request, governed, unavailable())
        return _finish(request, response, governed, response.verdict)  # type: ignore[attr-defined]

    def _recorded(self, request: HttpRequest, governed: Governed) -> HttpResponseBase:
        """Return the answer with its row durable. Raises ``AuditUnavailable``."""
        stopped = front_door.stop(request, governed)
        if stopped is not None:
            return stopped
        response = self._respond(request, governed)
        try:
            verdict = response.verdict  # type: ignore[attr-defined]
            stopped = front_door.stop_after(request, governed, verdict)
            if stopped is None:
                conclude(governed, verdict, http_status=response.status_code)
                return response
        except AuditUnavailable:
            response.close()
            raise
        response.close()
        return stopped

    def _respond(self, request: HttpRequest, governed: Governed) -> HttpResponseBase:
        """Return the inner response, or an envelope in place of what is none."""
        if is_preflight(request):
            governed.action = PREFLIGHT
            return plain_answer(request, governed, APPROVED)
        try:
            response = self._governed_response(request)
        except Exception as error:
            log.error("request failed outside of its view", exc_info=error)
            return plain_answer(request, governed, refuse(ReasonCode.E5_INTERNAL_ERROR))
        if getattr(response, "verdict", None) is not None:
            return response
        verdict = verdict_of_status(response.status_code)
        if verdict.approved:  # a page that is served as what it is, like the API's description
            response.verdict = verdict  # type: ignore[attr-defined]
            governed.action = f"{_endpoint(request)}.read"
            return response
        response.close()
        replacement = plain_answer(request, governed, verdict)
        if response.has_header("Allow"):
            replacement["Allow"] = response["Allow"]
        return replacement


def verdict_of_status(http_status: int) -> Verdict:
    """Return what a response without a verdict of its own means."""
    if http_status == 200:
        return APPROVED
    if http_status == 403:
        return refuse(ReasonCode.G2_SCOPE_DENIED)
    if http_status in (404, 405):
        return refuse(ReasonCode.G8_UNKNOWN_ACTION, http_status=http_status)
    if http_status == 400:
        return refuse(ReasonCode.G11_INVALID_PAYLOAD)
    if http_status == 413:
        return refuse(ReasonCode.G7_PAYLOAD_LIMIT)
    if http_status >= 500:
        return refuse(ReasonCode.E5_INTERNAL_ERROR, http_status=http_status)
    return refuse(ReasonCode.E_UNKNOWN, http_status=http_status)


#: An answer that is no page needs nothing; a browser that shows it as one gets nothing.
_POLICY = ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
_HEADERS = {
    name.lower(): (name, value)
    for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
}


def _finish(
    request: HttpRequest, response: HttpResponseBase, governed: Governed, verdict: Verdict
) -> HttpResponseBase:
    """Set the headers that every governed answer has, and count it."""
    # Past ``response[name] = value``, which looks for line ends in both: ours have none.
    headers = response.headers._store
    headers.update(_HEADERS)
    headers["x-trace-id"] = ("X-Trace-Id", governed.trace.trace_id)
    if not response.streaming:
        length = len(response.content)  # type: ignore[attr-defined]
        headers["content-length"] = ("Content-Length", str(length))
    headers.setdefault("content-security-policy", _POLICY)
    for name, value in governed.headers.items():
        response[name] = value
    if verdict.failed and request.path_info in FALLBACKS:
        response["Link"] = f'<{FALLBACKS[request.path_info]}>; rel="alternate"'
    instruments.answered(_endpoint(request), verdict, response.status_code)
    return response


def _endpoint(request: HttpRequest) -> str:
    """Return the name of the route that was asked, ``unknown`` when there is none."""
    match = request.resolver_match
    return (match.url_name if match is not None else None) or "unknown"
