"""Ending sessions: each on record before it ends."""

from __future__ import annotations

from collections.abc import Iterable

from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession

from techno.people.adapters import records


class SessionsAdapter(DefaultUserSessionsAdapter):
    """Records who ended whose session."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """End sessions, one after the other."""
        request = records.current_request()
        for session in sessions:
            if request is not None and not session.is_current():
                detail = {"of": session.user.get_username(), "from": session.ip}
                records.record(request, request.user, "session.end", detail)
            session.end()
