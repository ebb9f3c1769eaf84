"""DRF's authentication hook, asking ``techno.access``."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from techno.access.authenticate import KeyRefused, authenticate
from techno.governance.principal import Principal


class ApiKeyAuthentication(BaseAuthentication):
    """Reads ``X-API-Key`` and makes its holder the request's ``user``."""

    def authenticate(self, request: Any) -> tuple[Principal, None]:
        """Return the principal. Raises ``AuthenticationFailed`` for whatever is not a live key."""
        try:
            principal = authenticate(request.META.get("HTTP_X_API_KEY", ""))
        except KeyRefused as refusal:
            request.governed.detail["refused"] = refusal.cause.value
            raise AuthenticationFailed from refusal
        request.governed.principal = principal
        return principal, None

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge of a 401."""
        return "ApiKey"
