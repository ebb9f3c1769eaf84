"""What django-allauth and Django tell of people, turned into rows and into facts of sessions.

Django's own signals are used for signing in and out, and for the rows that hold second factors,
because every way leads through them; the views under ``/account/`` run in a transaction that
commits only once these receivers have their rows.
"""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account_signals
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa import signals as mfa_signals
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest

from audit.recorder import AuditUnavailable
from techno.people import session_life
from techno.people.adapters import records
from techno.people.second_factor import HELD, has_second_factor

#: In a session between the provider's answer and the end of signing in.
FROM_PROVIDER = "came_from_provider"


def listen() -> None:
    """Connect the receivers, once."""
    from allauth.mfa.models import Authenticator

    for signal, receiver, sender in (
        (user_logged_in, signed_in, None),
        (user_logged_out, signed_out, None),
        (account_signals.password_changed, password_changed, None),
        (post_save, factor_kept, Authenticator),
        (post_delete, factor_gone, Authenticator),
        (mfa_signals.authenticator_added, factor_added, None),
        (mfa_signals.authenticator_removed, factor_removed, None),
        (mfa_signals.authentication_failed, factor_refused, None),
    ):
        signal.connect(receiver, sender=sender, dispatch_uid=f"techno.people.{receiver.__name__}")


def signed_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Begin a session, and put it on record; without a row nobody is signed in."""
    session_life.begin(request)
    provided = request.session.pop(FROM_PROVIDER, "")
    own = has_second_factor(user)
    request.session[HELD] = "own" if own else provided
    try:
        records.record(request, user, records.SIGN_IN, {"second_factor": own})
    except AuditUnavailable:
        request.session.flush()
        raise


def signed_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    """Put the end of a session on record."""
    if user is not None:
        over = bool(getattr(request, "session_over", False))
        records.record(request, user, records.SIGN_OUT, {"by_itself": over})


def password_changed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Put on record that somebody changed their own password."""
    records.record(request, user, "person.change_password")


def factor_kept(instance: Any, created: bool, **kwargs: Any) -> None:
    """Put a new second factor on record."""
    request = records.current_request()
    if created and request is not None:
        records.record(request, request.user, "factor.add", _factor(instance))


def factor_gone(instance: Any, **kwargs: Any) -> None:
    """Put on record that a second factor is gone; a terminal's command does so itself."""
    request = records.current_request()
    if request is not None and request.user.is_authenticated:
        records.record(request, request.user, "factor.remove", _factor(instance))


def factor_added(request: HttpRequest, user: User, authenticator: Any, **kwargs: Any) -> None:
    """Whoever sets up a factor has just shown it. Other sessions began without it: they end."""
    from allauth.usersessions.internal.flows.sessions import end_other_sessions

    kind = authenticator.type
    if kind == "recovery_codes":
        return
    request.session[HELD] = "own"
    record_authentication(request, user, "mfa", id=authenticator.pk, type=kind)
    end_other_sessions(request, user)


def factor_removed(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Remember in the session whether there is a factor left."""
    request.session[HELD] = "own" if has_second_factor(user) else ""


def factor_refused(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Put a wrong code on record."""
    records.sign_in_refused(request, user.get_username(), "second factor")


def _factor(authenticator: Any) -> dict[str, str | int | bool | None]:
    return {"of": str(authenticator.user), "kind": str(authenticator.type), "id": authenticator.pk}
