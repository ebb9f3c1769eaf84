"""DRF's authentication hook, asking ``techno.access``."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed

from techno.access.admit import admit
from techno.access.authenticate import KeyRefused
from techno.governance.principal import Principal
from techno.web.exceptions import Refused


class ApiKeyAuthentication(BaseAuthentication):
    """Reads ``X-API-Key`` and makes its holder the request's ``user``."""

    def authenticate(self, request: Any) -> tuple[Principal, None]:
        """Return the principal. Raises ``AuthenticationFailed`` for whatever is not a live key.

        Raises :class:`Refused` for a live key that is not to be used now, or from there.
        """
        governed = request.governed
        try:
            verdict = admit(governed, request.META.get("HTTP_X_API_KEY", ""))
        except KeyRefused as refusal:
            governed.detail["refused"] = refusal.cause.value
            raise AuthenticationFailed from refusal
        if not verdict.approved:
            raise Refused(verdict)
        return governed.principal, None

    def authenticate_header(self, request: Any) -> str:
        """Return the challenge of a 401."""
        return "ApiKey"
