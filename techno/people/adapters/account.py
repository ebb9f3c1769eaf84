"""How django-allauth's sign-in becomes ours."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.stagekit import clear_login
from allauth.core import context
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from techno.people import proof
from techno.people.adapters import records
from techno.people.second_factor import has_app
from techno.web.person import address_of

#: Notices that say what the page shows anyway.
SILENT = frozenset({"account/messages/logged_in.txt", "account/messages/logged_out.txt"})


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up, addresses cannot be forged, attempts are on record."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody: people are added by those who manage people, or come from the provider."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address by which attempts are counted."""
        return address_of(request) or "0.0.0.0"  # noqa: S104 - no address is bound

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """Return the overview."""
        return reverse("admin:index")

    def add_message(
        self, request: HttpRequest, level: int, message_template: str = "", *args: Any, **kw: Any
    ) -> None:
        """Say it, unless it says what everybody sees."""
        if message_template not in SILENT:
            super().add_message(request, level, message_template, *args, **kw)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt; one too many is refused without looking at the password."""
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError:
            records.too_many_attempts(request)
            raise

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Put a wrong name or password on record."""
        records.sign_in_refused(request, str(credentials.get("username", "")), "password")

    def pre_login(
        self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any
    ) -> HttpResponse | None:
        """Let only staff in: nobody else would see anything."""
        if isinstance(user, User) and user.is_active and user.is_staff:
            return None
        records.sign_in_refused(request, str(user), "inactive")
        clear_login(request)
        return HttpResponseRedirect(reverse("account_inactive"))

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """One window for everything that asks again."""
        request = context.request
        if request is None:
            return True
        return not proof.has_proof(request)

    def get_reauthentication_methods(
        self, user: AbstractBaseUser | AnonymousUser
    ) -> list[dict[str, Any]]:
        """Return the ways to prove who one is: the second factor where there is one."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        strong = [each for each in methods if each["id"] != "reauthenticate"]
        if len(strong) > 1 and not has_app(user):  # recovery codes are for when all else fails
            strong.sort(key=lambda each: each["id"] == "mfa_reauthenticate")
        return strong or methods
