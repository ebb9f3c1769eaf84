"""System checks of people and how they sign in (``techno.E4xx`` and ``techno.W4xx``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from techno.people.second_factor import POLICIES, insists, loopback_only


@register(Tags.security)
def second_factor_policy(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """The policy is a word that is known, and does not leave a reachable service open."""
    if settings.SECOND_FACTOR not in POLICIES:
        return [
            Error(
                f"TECHNO_SECOND_FACTOR is {settings.SECOND_FACTOR!r}.",
                hint=f"Use one of {', '.join(POLICIES)}.",
                id="techno.E401",
            )
        ]
    if insists() or loopback_only():
        return []
    return [
        Warning(
            "Others can reach the portal, and it does not insist on second factors.",
            hint="Set TECHNO_SECOND_FACTOR to auto or always.",
            id="techno.W401",
        )
    ]


@register(Tags.security)
def debugging_is_private(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Debug pages show internals; nobody else may be able to ask for them."""
    if not settings.DEBUG or loopback_only():
        return []
    return [
        Error(
            "TECHNO_DEBUG is on, and others can reach the service.",
            hint="Set TECHNO_DEBUG=false, or listen on 127.0.0.1 only.",
            id="techno.E402",
        )
    ]


@register(Tags.security)
def groups_of_single_sign_on(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Single sign-on without a mapping lets nobody in; a broken pair maps nothing."""
    if not settings.SOCIALACCOUNT_PROVIDERS:
        return []
    broken = [pair for pair in settings.OIDC_GROUPS if not all(pair.partition("="))]
    if settings.OIDC_GROUPS and not broken:
        return []
    return [
        Error(
            f"TECHNO_OIDC_GROUPS maps nothing by {broken[0]!r}."
            if broken
            else "Single sign-on lets nobody in: TECHNO_OIDC_GROUPS is empty.",
            hint="Give pairs of the provider's group and ours: ops=operator,sec=auditor.",
            id="techno.E403",
        )
    ]


@register(Tags.database)
def people_in_the_database(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Somebody can sign in, not with the first password, into groups that exist."""
    if not databases:
        return []
    try:
        return [*_somebody(), *_first_password(), *_mapped_groups()]
    except DatabaseError:
        return []  # not migrated yet, or away: other checks tell


def _somebody() -> list[CheckMessage]:
    from django.contrib.auth.models import User

    if settings.SOCIALACCOUNT_PROVIDERS or User.objects.filter(is_active=True, is_staff=True):
        return []
    return [
        Warning(
            "Nobody can sign in to the portal.",
            hint="`manage.py first_start` makes a first person; single sign-on lets others in.",
            id="techno.W402",
        )
    ]


def _first_password() -> list[CheckMessage]:
    from techno.people.models import FirstPassword

    kept = FirstPassword.objects.filter(user__is_active=True).select_related("user")
    return [
        Warning(
            f"{first.user} still has the password that the first start printed.",
            hint="Change it under your name in the portal, or with `manage.py changepassword`.",
            id="techno.W403",
        )
        for first in kept
        if first.still_used
    ]


def _mapped_groups() -> list[CheckMessage]:
    from django.contrib.auth.models import Group

    wanted = {pair.partition("=")[2].strip() for pair in settings.OIDC_GROUPS}
    missing = wanted - set(Group.objects.filter(name__in=wanted).values_list("name", flat=True))
    return [
        Warning(
            f"TECHNO_OIDC_GROUPS names groups that do not exist: {', '.join(sorted(missing))}.",
            hint="Make them in the portal, or correct the mapping.",
            id="techno.W404",
        )
        for _once in [missing]
        if missing
    ]
