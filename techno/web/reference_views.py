"""The pages of the API's description, with a policy under which they work."""

from __future__ import annotations

from typing import Any

from csp.constants import SELF
from csp.utils import build_policy
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView
from rest_framework.request import Request
from rest_framework.response import Response

#: Beside what the portal allows: pictures that stand in their stylesheet and scripts.
SWAGGER_POLICY = {"img-src": [SELF, "data:"]}
#: Redoc makes style elements that are empty (the first hash), to fill them by script, and one with
#: a text of its own (the second); it searches in a worker that it makes of its own script.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)
REDOC_POLICY = {
    "img-src": [SELF, "data:"],
    "style-src": [SELF, *REDOC_STYLES],
    "worker-src": ["blob:"],
}


class SwaggerPage(SpectacularSwaggerView):
    """Swagger UI."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show it."""
        return _under(super().get(request, *args, **kwargs), SWAGGER_POLICY)


class RedocPage(SpectacularRedocView):
    """Redoc."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show it."""
        return _under(super().get(request, *args, **kwargs), REDOC_POLICY)


def _under(response: Response, policy: dict[str, Any]) -> Response:
    response.headers["Content-Security-Policy"] = build_policy(replace=policy)
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Frame-Options"] = "DENY"
    return response
