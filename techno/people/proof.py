"""The window after somebody proved who they are, in which sensitive acts are done without asking.

Signing in is such a proof, with the second factor where there is one. After
``TECHNO_PROOF_S`` it is asked for again: the second factor of those who have one, the password
of the others. Whoever has neither, because they come from another provider, signs in anew.
"""

from __future__ import annotations

import time

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.internal.flows.reauthentication import suspend_request
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME, logout
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from techno.people.second_factor import HELD

#: A form is shown only while at least so much of the window is left to fill it in.
TO_FILL_IN_S = 300.0
#: Requests with such fields are never put by: what they carry must not lie in a session.
SECRET_FIELDS = ("password", "secret", "credential", "code")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def proved_at(request: HttpRequest) -> float:
    """Return when this session proved last who it is, in seconds of the Unix clock; 0 if never."""
    user = request.user if isinstance(request.user, User) else None
    records = get_authentication_records(request, user)
    if request.session.get(HELD) == "own":
        records = [record for record in records if record.get("method") == "mfa"]
    return max((float(record.get("at", 0)) for record in records), default=0.0)


def has_proof(request: HttpRequest, *, left_s: float = 0.0) -> bool:
    """Whether the window is open, and will be for ``left_s`` more."""
    return time.time() - proved_at(request) < settings.PROOF_S - left_s


def ask_for_proof(request: HttpRequest, *, back: str = "") -> HttpResponseRedirect:
    """Return the way to the page that asks who somebody is, and afterwards on with ``request``.

    A form without secrets is put by and handed in afterwards; one with secrets is asked for
    again, empty, at ``back`` or where it was sent.
    """
    methods = get_adapter().get_reauthentication_methods(request.user)
    back = back or request.get_full_path()
    if not methods:
        logout(request)
        return _to(reverse("account_login"), back)
    if request.method not in SAFE_METHODS and _carries_secrets(request):
        return _to(methods[0]["url"], back)
    resumed: HttpResponseRedirect = suspend_request(request, methods[0]["url"])
    return resumed


def _carries_secrets(request: HttpRequest) -> bool:
    return bool(request.FILES) or any(
        part in name.lower() for name in request.POST for part in SECRET_FIELDS
    )


def _to(page: str, back: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{page}?{urlencode({REDIRECT_FIELD_NAME: back})}")
