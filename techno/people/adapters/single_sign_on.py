"""Single sign-on by OpenID Connect: who may come in, and in which groups.

The provider vouches for somebody; what they may do here is said by ``TECHNO_OIDC_GROUPS``, pairs
``their group=our group``. At each sign-in the groups that stand in it are given and taken as the
provider's claim says. Groups that do not stand in it are not the provider's affair, and nobody
becomes a superuser this way.
"""

from __future__ import annotations

from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from techno.people.adapters import events, records


def mapping(pairs: list[str]) -> dict[str, str]:
    """Return which of our groups each of the provider's groups stands for."""
    found = {}
    for pair in pairs:
        theirs, _equals, ours = pair.partition("=")
        found[theirs.strip()] = ours.strip()
    return found


def claimed_groups(claims: dict[str, Any]) -> set[str]:
    """Return our groups that ``claims`` stand for; a claim of another form stands for none."""
    names = claims.get(settings.OIDC_GROUPS_CLAIM)
    given = names if isinstance(names, list) else [names]
    known = mapping(settings.OIDC_GROUPS)
    return {known[name] for name in given if isinstance(name, str) and name in known}


class SingleSignOnAdapter(DefaultSocialAccountAdapter):
    """Lets in whom the provider puts into a group that is mapped, and nobody else."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Whoever came so far was let in by :meth:`pre_social_login`."""
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Refuse whom no group lets in; give the others the groups that they have now."""
        groups = claimed_groups(_claims(sociallogin))
        sociallogin.email_addresses = []  # addresses prove nothing here, and link nobody
        if not groups or sociallogin.state.get("process") == "connect":
            name = sociallogin.user.username if sociallogin.is_existing else ""
            records.sign_in_refused(request, name, "provider")
            raise ImmediateHttpResponse(HttpResponseRedirect(reverse("account_inactive")))
        request.session[events.FROM_PROVIDER] = "provider" if settings.OIDC_MFA else ""
        if sociallogin.is_existing:
            keep_groups(request, sociallogin.user, groups)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        """Keep somebody who comes for the first time, with their groups."""
        with transaction.atomic():
            user: User = sociallogin.user
            user.is_staff, user.is_superuser = True, False
            user = super().save_user(request, sociallogin, form)
            records.record(request, user, "user.add", {"by": "single sign-on"})
            keep_groups(request, user, claimed_groups(_claims(sociallogin)))
        return user

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, *args: Any, **kwargs: Any
    ) -> None:
        """Put on record that the provider's answer was no good."""
        records.sign_in_refused(request, "", "provider")


def keep_groups(request: HttpRequest, user: User, groups: set[str]) -> None:
    """Give ``user`` those of the mapped groups that are in ``groups``, and take the others."""
    governed = set(mapping(settings.OIDC_GROUPS).values())
    held = set(user.groups.filter(name__in=governed).values_list("name", flat=True))
    known = set(Group.objects.filter(name__in=groups).values_list("name", flat=True))
    if held == known:
        return
    with transaction.atomic():
        detail = {"of": user.get_username(), "by": "single sign-on"}
        told = {"before.groups": _told(held), "after.groups": _told(known)}
        user.groups.remove(*Group.objects.filter(name__in=held - known))
        user.groups.add(*Group.objects.filter(name__in=known - held))
        records.record(request, user, "user.change", {**detail, **told})


def _claims(sociallogin: SocialLogin) -> dict[str, Any]:
    """Return what the provider said: the token's claims, and those of its userinfo over them."""
    data = sociallogin.account.extra_data
    return {**data.get("id_token", {}), **data.get("userinfo", {})}


def _told(groups: set[str]) -> str:
    return ", ".join(sorted(groups))
