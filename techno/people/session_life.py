"""How long a person stays signed in: so long without a click, so long in all."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

BEGAN = "session_began"
SEEN = "session_seen"
#: A page more often than this does not move the time at which a session was seen last.
SEEN_EVERY_S = 60.0


def begin(request: HttpRequest) -> None:
    """Note in a new session when it began."""
    request.session[BEGAN] = request.session[SEEN] = time.time()


class SessionLife:
    """Signs people out whose session is too old or was idle for too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer one request."""
        if not hasattr(request, "governed") and _has_session(request):
            _live(request, time.time())
        return self._get_response(request)


def _has_session(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES and hasattr(request, "session")


def _live(request: HttpRequest, now: float) -> None:
    """End the session when it is over, else note at times that it is in use."""
    session = request.session
    if "_auth_user_id" not in session:
        return
    began, seen = session.get(BEGAN, 0.0), session.get(SEEN, 0.0)
    if not began:  # signed in before there was such a limit
        began = seen = session[BEGAN] = session[SEEN] = now
    if now - began > settings.SESSION_LIFE_S or now - seen > settings.SESSION_IDLE_S:
        request.session_over = True  # type: ignore[attr-defined]
        logout(request)
    elif now - seen > SEEN_EVERY_S:
        session[SEEN] = now
        _note_seen(session.session_key)


def _note_seen(session_key: str | None) -> None:
    from allauth.usersessions.models import UserSession

    UserSession.objects.filter(session_key=session_key).update(last_seen_at=timezone.now())
