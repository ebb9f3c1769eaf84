"""Django's users, on our pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from techno.people.admin.permitting import Permitting
from techno.people.reset import forget_second_factor
from techno.people.second_factor import has_second_factor
from techno.portal import fragments
from techno.web.person import act_of_person

RESET = "forget_factors"
_IMPORTANT = ("seen", "joined", "factor")

admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(Permitting, DjangoUserAdmin):  # type: ignore[type-arg]
    """People who may sign in. Nobody is deleted, for what they did names them: deactivate.

    Nobody gives what they do not have: only a superuser makes superusers, and whoever may do
    more than oneself is out of reach.
    """

    list_display = ("username", "full_name", "active", "is_staff", "is_superuser", "seen")
    list_filter = ("is_active", "is_staff")
    readonly_fields = _IMPORTANT
    actions = (RESET,)
    fieldsets = (
        *(DjangoUserAdmin.fieldsets or ())[:-1],
        (_("Important dates"), {"fields": _IMPORTANT}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Whoever may change people, and may do all that this one may."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or within(request.user, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Superusers are made by superusers."""
        found = super().get_readonly_fields(request, obj)
        return found if _superuser(request) else (*found, "is_superuser")

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Set somebody's password, which holds once its row is durable."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    @admin.action(description=_("Forget second factors of selected people"), permissions=["change"])
    def forget_factors(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        """Let people who lost their second factors set up new ones; end their sessions."""
        within_reach = [user for user in chosen if self.has_change_permission(request, user)]
        for user in within_reach:
            forget_second_factor(act_of_person(request), user)
        count = len(within_reach)
        told = ngettext(
            "The second factors of %d person are forgotten.",
            "The second factors of %d people are forgotten.",
            count,
        )
        self.message_user(request, told % count)

    @admin.display(description=_("name"), ordering="first_name")
    def full_name(self, person: User) -> str | SafeString:
        """First and last name."""
        return fragments.text_or_nothing(person.get_full_name())

    @admin.display(description=_("active"), ordering="is_active", boolean=True)
    def active(self, person: User) -> bool:
        """Whether this person may sign in."""
        return person.is_active

    @admin.display(description=_("last sign-in"), ordering="last_login")
    def seen(self, person: User) -> SafeString:
        """When this person signed in last."""
        return fragments.moment(person.last_login)

    @admin.display(description=_("added"), ordering="date_joined")
    def joined(self, person: User) -> SafeString:
        """Since when this person is known."""
        return fragments.moment(person.date_joined)

    @admin.display(description=_("second factor"))
    def factor(self, person: User) -> str:
        """Whether this person has a second factor."""
        return gettext("set up") if person.pk and has_second_factor(person) else gettext("none")


def within(giver: Any, other: User) -> bool:
    """Whether ``giver`` may do all that ``other`` may."""
    if giver.is_superuser:
        return True
    if other.is_superuser:
        return False
    return bool(other.get_all_permissions() <= giver.get_all_permissions())


def within_group(giver: Any, group: Group) -> bool:
    """Whether ``giver`` has all that ``group`` gives."""
    if giver.is_superuser:
        return True
    names = giver.get_all_permissions()
    given = group.permissions.select_related("content_type")
    return all(f"{one.content_type.app_label}.{one.codename}" in names for one in given)


def _superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
