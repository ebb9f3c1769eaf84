"""Who needs a second factor, who has one, and whether this service insists on it."""

from __future__ import annotations

import ipaddress
from functools import cache

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.http import HttpRequest

from techno import env
from techno.people.models import GroupRule
from techno.people.roles import NEED_SECOND_FACTOR

#: In a session: whether its person has a second factor (and so gave it), or came from a provider
#: that asks for one.
HELD = "second_factor"
#: What TECHNO_SECOND_FACTOR may be.
POLICIES = ("auto", "always", "ask")


def needs_second_factor(user: User | AnonymousUser) -> bool:
    """Whether what ``user`` may do, or a group of theirs, asks for a second factor."""
    if not isinstance(user, User):
        return False
    if user.is_superuser or not NEED_SECOND_FACTOR.isdisjoint(user.get_all_permissions()):
        return True
    return GroupRule.objects.filter(group__user=user, requires_mfa=True).exists()


def has_second_factor(user: User) -> bool:
    """Whether ``user`` has set up an authenticator app or a passkey."""
    from allauth.mfa.models import Authenticator

    kinds = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
    return bool(Authenticator.objects.filter(user_id=user.pk, type__in=kinds).exists())


def has_app(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether ``user`` has set up an authenticator app."""
    from allauth.mfa.models import Authenticator

    apps = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP)
    return bool(apps.exists())


def lacks_second_factor(request: HttpRequest) -> bool:
    """Whether the signed-in person needs a second factor and this session has none."""
    if request.session.get(HELD):
        return False
    return needs_second_factor(request.user)


@cache
def insists() -> bool:
    """Whether somebody who lacks the second factor that they need is kept out.

    A service that only this machine can reach asks and does not insist, so that the first
    start is one command; everything else insists, unless the operator says otherwise.
    """
    if settings.SECOND_FACTOR == "auto":
        return not loopback_only()
    return bool(settings.SECOND_FACTOR == "always")


def loopback_only() -> bool:
    """Whether only programs of this machine reach the service."""
    if settings.TRUSTED_PROXIES or settings.BEHIND_HTTPS:
        return False
    if env.HOST == "localhost":
        return True
    try:
        return ipaddress.ip_address(env.HOST).is_loopback
    except ValueError:
        return False
