"""Keys on plain Django views."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from techno.access.authenticate import KeyRefused, authenticate
from techno.database.errors import StoreError
from techno.gate import Governed, begin, decide_scope, unavailable
from techno.governance.principal import Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import Verdict, refuse
from techno.web.answers import plain_answer

View = Callable[..., HttpResponseBase]


def require_api_key(scope: Scope) -> Callable[[View], View]:
    """Let a plain Django view be asked only with a live key that has ``scope``.

    The view finds the caller in ``request.principal``. Refusals are envelopes. Under a governed
    path they are recorded by the middleware like every answer there.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            governed = getattr(request, "governed", None) or begin(
                method=request.method or "", path=request.path
            )
            verdict = _admit(request, governed, scope)
            if verdict is not None:
                response = plain_answer(request, governed, verdict)
                if verdict.http_status == 401:
                    response["WWW-Authenticate"] = "ApiKey"
                return response
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def _admit(request: HttpRequest, governed: Governed, scope: Scope) -> Verdict | None:
    """Name the caller on the request and return ``None``, or return why not."""
    try:
        principal = authenticate(request.META.get("HTTP_X_API_KEY", ""))
    except KeyRefused as refusal:
        governed.detail["refused"] = refusal.cause.value
        return refuse(
            ReasonCode.G0_AUTH_NOT_CONFIGURED,
            message="A valid API key is required in the header X-API-Key.",
        )
    except StoreError:
        return unavailable()
    governed.principal = principal
    request.principal = principal  # type: ignore[attr-defined]
    verdict = decide_scope(principal, scope)
    return None if verdict.approved else verdict
