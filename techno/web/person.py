"""A request of a signed-in person, as a governed act."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from techno.acts import person
from techno.gate import Governed, begin
from techno.web.client_address import client_address, networks


def act_of_person(request: HttpRequest) -> Governed:
    """Open one governed act of whoever is signed in; a request may hold several acts.

    Each ends in exactly one row: hand it to ``techno.acts.recorded_change``, or to
    ``techno.gate.conclude`` with its verdict.
    """
    governed = begin(
        method=request.method or "",
        path=request.path,
        client_address=address_of(request),
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
    )
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        governed.principal = person(user.get_username(), user.get_full_name())
    return governed


def address_of(request: HttpRequest) -> str:
    """Return the address that ``request`` really came from."""
    headers = request.META
    return client_address(
        headers.get("REMOTE_ADDR", ""),
        headers.get("HTTP_X_FORWARDED_FOR", ""),
        networks(settings.TRUSTED_PROXIES),
    )
