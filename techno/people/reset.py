"""Letting somebody in again who lost their second factor."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User

from techno.acts import recorded_change
from techno.gate import Governed


def forget_second_factor(governed: Governed, user: User) -> int:
    """Remove the second factors of ``user`` and end their sessions; return how many there were.

    At the next sign-in they set up new ones. The act leaves one row.
    """
    with recorded_change(governed, "factor.forget", {"of": user.get_username()}) as detail:
        factors = Authenticator.objects.filter(user=user)
        detail["kinds"] = ", ".join(sorted({factor.type for factor in factors}))
        count = len(factors)
        factors._raw_delete(using="default")  # one row for all, not one each
        detail["sessions"] = end_all_sessions(user)
    return count


def end_all_sessions(user: User) -> int:
    """End the sessions of ``user``; return how many there were."""
    sessions = list(UserSession.objects.filter(user=user))
    for session in sessions:
        session.end()
    return len(sessions)
