"""Django's own middleware for the portal; governed paths pass it by.

The API has no session, no CSRF and no messages. Each class here is the framework's, with one
question in front: is this a governed path? That question costs far less than their work.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.middleware import AuthenticationMiddleware as _Authentication
from django.contrib.messages.middleware import MessageMiddleware as _Message
from django.middleware.common import CommonMiddleware as _Common
from django.middleware.locale import LocaleMiddleware as _Locale
from whitenoise.middleware import WhiteNoiseMiddleware as _WhiteNoise

#: Asked by machines, under any host name, without a session.
PROBES = frozenset({"/health", "/metrics"})


class PortalOnly:
    """Steps aside for requests that ``GovernedRequests`` has opened."""

    def __call__(self, request: Any) -> Any:
        """Pass a governed request straight on, and a probe, which has no host name to check."""
        if hasattr(request, "governed") or request.path_info in PROBES:
            return self.get_response(request)  # type: ignore[attr-defined]
        return super().__call__(request)


class WhiteNoiseMiddleware(PortalOnly, _WhiteNoise):
    """Static files, compressed."""


class LocaleMiddleware(PortalOnly, _Locale):
    """The language of the browser."""


class CommonMiddleware(PortalOnly, _Common):
    """Trailing slashes and content length."""


class AuthenticationMiddleware(PortalOnly, _Authentication):
    """The signed-in person."""


class MessageMiddleware(PortalOnly, _Message):
    """One-time notices."""
