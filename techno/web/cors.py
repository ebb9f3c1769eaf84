"""Consoles that run in a browser at another origin: those that are configured, and no other.

The headers are set outside of the governed request, so that refusals have them too; what a
browser asks beforehand is answered inside of it, and leaves its row like everything else.
"""

from __future__ import annotations

from collections.abc import Callable

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

PREFLIGHT = "cors.preflight"


class ConsoleOrigins(CorsMiddleware):
    """Lets browsers hand our answers to consoles of the configured origins."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if not settings.CORS_ALLOWED_ORIGINS:
            raise MiddlewareNotUsed
        super().__init__(get_response)

    def check_preflight(self, request: HttpRequest) -> None:
        """Leave the answer to the governed request."""
        request._cors_enabled = self.is_enabled(request)  # type: ignore[attr-defined]


def is_preflight(request: HttpRequest) -> bool:
    """Whether a browser asks what it may send, before it sends it."""
    return (
        request.method == "OPTIONS"
        and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META
        and bool(settings.CORS_ALLOWED_ORIGINS)
    )
