"""Django's users and groups, on our pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from techno.portal import fragments
from techno.portal.model_admin import PortalModelAdmin

#: Apps and permissions that nobody uses: there are no pages, or nobody may do it.
WITHOUT_PAGES = ("admin", "contenttypes", "sessions")
WITHOUT_EFFECT = (
    "add_commandrun",
    "change_commandrun",
    "delete_commandrun",
    "delete_apikey",
    "delete_user",
)
_VERBS = {"add": _("add"), "change": _("change"), "delete": _("delete"), "view": _("view")}


class PermissionField(ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Permissions in the reader's language: what it is about, and what may be done."""

    def label_from_instance(self, obj: Permission) -> str:
        """Return a permission's text; its own name where it is none of the usual four."""
        verb, _separator, _model = obj.codename.partition("_")
        model = obj.content_type.model_class()
        if verb not in _VERBS or model is None:
            return gettext(obj.name)
        return f"{capfirst(str(model._meta.verbose_name_plural))}: {_VERBS[verb]}"


def useful_permissions() -> QuerySet[Permission]:
    """Return the permissions that let somebody do something, those of one model together."""
    return (
        Permission.objects.exclude(content_type__app_label__in=WITHOUT_PAGES)
        .exclude(content_type__app_label="auth", content_type__model="permission")
        .exclude(codename__in=WITHOUT_EFFECT)
        .select_related("content_type")
        .order_by("content_type__app_label", "content_type__model", "codename")
    )


class _Permitting(PortalModelAdmin):
    """A model that holds permissions."""

    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer permissions as a list to tick."""
        if db_field.remote_field.model is Permission:
            kwargs["form_class"] = PermissionField
            kwargs["queryset"] = useful_permissions()
        return super().formfield_for_manytomany(db_field, request, **kwargs)


admin.site.unregister([User, Group])


@admin.register(User)
class PersonAdmin(_Permitting, DjangoUserAdmin):  # type: ignore[type-arg]
    """People who may sign in. Nobody is deleted, for what they did names them: deactivate."""

    list_display = ("username", "full_name", "active", "is_staff", "is_superuser", "seen")
    list_filter = ("is_active", "is_staff")
    readonly_fields = ("seen", "joined")
    fieldsets = (
        *(DjangoUserAdmin.fieldsets or ())[:-1],
        (_("Important dates"), {"fields": ("seen", "joined")}),
    )

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Nobody."""
        return False

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


@admin.register(Group)
class GroupAdmin(_Permitting, DjangoGroupAdmin):  # type: ignore[misc]
    """Groups of people with the same permissions."""
