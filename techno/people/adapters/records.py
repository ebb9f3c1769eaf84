"""The audit rows of signing in and of what people do to their own accounts."""

from __future__ import annotations

from collections.abc import Callable

from allauth.core import context
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from techno.access.refusals import subject_of
from techno.access.refused_minutes import refuse_together
from techno.acts import Detail, person
from techno.gate import Governed, conclude
from techno.governance.principal import ANONYMOUS
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import APPROVED, Verdict, refuse
from techno.web.person import act_of_person, address_of

Somebody = AbstractBaseUser | AnonymousUser | None
SIGN_IN = "person.sign_in"
SIGN_OUT = "person.sign_out"
_TOO_MANY = refuse(ReasonCode.G13_RATE_LIMITED, message="Too many attempts to sign in from here.")

_REFUSED = {
    "password": "The name or the password is wrong.",
    "second factor": "The second factor was not given.",
    "inactive": "This account may not sign in here.",
    "provider": "The sign-in provider did not vouch for anybody who may come in.",
}


def act(request: HttpRequest, user: Somebody, action: str) -> Governed:
    """Open the act of ``user``, who need not be signed in on ``request`` yet or any more."""
    governed = act_of_person(request)
    governed.action = action
    governed.principal = ANONYMOUS
    if isinstance(user, User):
        governed.principal = person(user.get_username(), user.get_full_name())
    return governed


def record(
    request: HttpRequest,
    user: Somebody,
    action: str,
    detail: Detail | None = None,
    verdict: Verdict = APPROVED,
) -> None:
    """Record an act. Raises ``audit.recorder.AuditUnavailable``."""
    governed = act(request, user, action)
    governed.detail.update(detail or {})
    conclude(governed, verdict)


#: Told with each sign-in that was refused for want of what (the metrics listen here).
REFUSAL_OBSERVERS: list[Callable[[str], None]] = []


def _tell(what: str) -> None:
    for observer in REFUSAL_OBSERVERS:
        observer(what)


def sign_in_refused(request: HttpRequest, name: str, what: str) -> None:
    """Record that somebody was not let in, for want of ``what``.

    A name that nobody has is not kept: people type passwords into that field.
    """
    _tell(what)
    known = User.objects.filter(username=name).exists()
    verdict = refuse(ReasonCode.G0_AUTH_NOT_CONFIGURED, message=_REFUSED[what])
    detail: Detail = {"failed": what, "name": name if known else None}
    user = getattr(request, "user", None)
    record(request, user, SIGN_IN, detail, verdict)


def too_many_attempts(request: HttpRequest) -> None:
    """Record that attempts are refused unseen: one row an address and minute, with a count.

    Raises ``AuditUnavailable``.
    """
    _tell("too many attempts")
    address = subject_of(address_of(request))
    governed = act(request, None, SIGN_IN)
    governed.detail = {"failed": "too many attempts", "together": address}
    refuse_together(governed, _TOO_MANY, f"{SIGN_IN}|{address}")


def current_request() -> HttpRequest | None:
    """Return the request that is being answered; ``None`` at a terminal."""
    request: HttpRequest | None = context.request
    return request
