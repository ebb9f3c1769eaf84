"""Keys on plain Django views."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from techno.access.admit import admit
from techno.access.authenticate import KeyRefused
from techno.database.errors import StoreError
from techno.gate import Governed, begin, decide_scope, unavailable
from techno.governance.principal import Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import Verdict, refuse
from techno.web.answers import plain_answer
from techno.web.person import address_of

View = Callable[..., HttpResponseBase]


def require_api_key(scope: Scope) -> Callable[[View], View]:
    """Let a plain Django view be asked only with a live key that has ``scope``.

    The view finds the caller in ``request.principal``. Refusals are envelopes. Under a governed
    path they are recorded by the middleware like every answer there.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            governed: Governed | None = getattr(request, "governed", None)
            if governed is not None:  # the middleware does the rest
                return _answered(view, scope, request, governed, *args, **kwargs)
            governed = begin(
                method=request.method or "",
                path=request.path,
                client_address=address_of(request),
                user_agent=request.META.get("HTTP_USER_AGENT", ""),
            )
            try:
                response = _answered(view, scope, request, governed, *args, **kwargs)
            finally:
                for release in governed.releases:
                    release()
            for name, value in governed.headers.items():
                response[name] = value
            return response

        return guarded

    return decorate


def _answered(
    view: View, scope: Scope, request: HttpRequest, governed: Governed, *args: Any, **kwargs: Any
) -> HttpResponseBase:
    verdict = _admit(request, governed, scope)
    if verdict is None:
        return view(request, *args, **kwargs)
    response = plain_answer(request, governed, verdict)
    if verdict.http_status == 401:
        response["WWW-Authenticate"] = "ApiKey"
    return response


def _admit(request: HttpRequest, governed: Governed, scope: Scope) -> Verdict | None:
    """Name the caller on the request and return ``None``, or return why not."""
    try:
        verdict = admit(governed, request.META.get("HTTP_X_API_KEY", ""))
    except KeyRefused as refusal:
        governed.detail["refused"] = refusal.cause.value
        return refuse(
            ReasonCode.G0_AUTH_NOT_CONFIGURED,
            message="A valid API key is required in the header X-API-Key.",
        )
    except StoreError:
        return unavailable()
    request.principal = governed.principal  # type: ignore[attr-defined]
    if verdict.approved:
        verdict = decide_scope(governed.principal, scope)
    return None if verdict.approved else verdict
