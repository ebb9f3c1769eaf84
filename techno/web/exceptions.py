"""Whatever was raised becomes an envelope: one table from exception to verdict."""

from __future__ import annotations

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from rest_framework import exceptions

from audit.recorder import AuditUnavailable
from techno.database.errors import StoreUnavailable
from techno.gate import unavailable
from techno.governance.reason_codes import ReasonCode
from techno.governance.text import caller_text
from techno.governance.verdict import Verdict, refuse
from techno.web.answers import Answer, answer

log = structlog.get_logger(__name__)
MESSAGE_LIMIT = 300


class Refused(Exception):
    """A verdict that ends the request here. The gate made it; a view only passes it on."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def envelope_for(error: Exception, context: Any) -> Answer:
    """DRF's exception handler: return the envelope that ``error`` stands for. Never raises."""
    request = context["request"]._request
    verdict = verdict_for(error)
    if isinstance(error, (AuditUnavailable, StoreUnavailable)):
        log.warning("refused while the database is away", cause=str(error))
    elif verdict.http_status >= 500:
        log.error("request failed", path=request.governed.trace.path, exc_info=error)
    response = answer(request, verdict=verdict)
    if isinstance(error, exceptions.APIException):
        for header, name in (("auth_header", "WWW-Authenticate"), ("wait", "Retry-After")):
            value = getattr(error, header, None)
            if value:
                response[name] = str(value)
    if isinstance(error, exceptions.MethodNotAllowed):
        response["Allow"] = ", ".join(context["view"].allowed_methods)
    return response


def verdict_for(error: BaseException) -> Verdict:
    """Return what ``error`` means to the caller; the unforeseen is BLOCKED with no internals."""
    if isinstance(error, Refused):
        return error.verdict
    if isinstance(error, (AuditUnavailable, StoreUnavailable)):
        return unavailable()
    for kinds, code, http_status, message in _TABLE:
        if isinstance(error, kinds):
            return refuse(code, http_status=http_status, message=message or _sentence(error))
    return refuse(ReasonCode.E5_INTERNAL_ERROR, message="The service failed; nothing is known.")


#: Order matters: the first kind that fits decides. An empty message takes the error's own.
_TABLE: tuple[tuple[Any, ReasonCode, int, str], ...] = (
    (
        (exceptions.AuthenticationFailed, exceptions.NotAuthenticated),
        ReasonCode.G0_AUTH_NOT_CONFIGURED,
        401,
        "A valid API key is required in the header X-API-Key.",
    ),
    (exceptions.UnsupportedMediaType, ReasonCode.G10_BODY_PARSE_ERROR, 415,
     "The body must be sent as application/json."),
    (SuspiciousOperation, ReasonCode.G11_INVALID_PAYLOAD, 400,
     "The request's Host, or another part of it, is not acceptable."),
    (exceptions.ParseError, ReasonCode.G10_BODY_PARSE_ERROR, 400, ""),
    (exceptions.ValidationError, ReasonCode.G11_INVALID_PAYLOAD, 400, ""),
    (exceptions.MethodNotAllowed, ReasonCode.G8_UNKNOWN_ACTION, 405,
     "This endpoint does not know that method."),
    ((exceptions.NotFound, Http404), ReasonCode.G8_UNKNOWN_ACTION, 404,
     "There is no such endpoint."),
    ((exceptions.PermissionDenied, PermissionDenied), ReasonCode.G2_SCOPE_DENIED, 403,
     "This key was not issued for this."),
    (exceptions.Throttled, ReasonCode.G13_RATE_LIMITED, 429, "Too many requests."),
)  # fmt: skip


def _sentence(error: BaseException) -> str:
    """Return the first complaint of a DRF error as one sentence that names its field."""
    detail = getattr(error, "detail", str(error))
    path: list[str] = []
    while isinstance(detail, (dict, list)):
        if isinstance(detail, dict):
            name, detail = next(iter(detail.items()), ("", ""))
            if name and name != "non_field_errors":
                path.append(str(name))
        else:
            detail = next((item for item in detail if item), "")
    text = f"{'.'.join(path)}: {detail}" if path else str(detail)
    return caller_text(text, MESSAGE_LIMIT)  # it may quote the caller
