"""What pages of people and of groups share: giving permissions, and none that one lacks."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from techno.portal.model_admin import PortalModelAdmin

#: Apps and permissions that nobody uses: there are no pages, or nobody may do it.
WITHOUT_PAGES = ("account", "admin", "contenttypes", "mfa", "sessions", "socialaccount")
WITHOUT_EFFECT = (
    "add_commandrun",
    "change_commandrun",
    "delete_commandrun",
    "delete_apikey",
    "delete_user",
    "add_usersession",
    "change_usersession",
)
_VERBS = {"add": _("add"), "change": _("change"), "delete": _("delete"), "view": _("view")}


class PermissionField(ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Permissions in the reader's language: what it is about, and what may be done."""

    def label_from_instance(self, obj: Permission) -> str:
        """Return a permission's text."""
        return told_permission(obj)


def told_permission(permission: Permission) -> str:
    """Return a permission's text; its own name where it is none of the usual four."""
    verb, _separator, name = permission.codename.partition("_")
    model = permission.content_type.model_class()
    if verb not in _VERBS or model is None or name != model._meta.model_name:
        return gettext(permission.name)
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


def held(request: HttpRequest) -> QuerySet[Permission]:
    """Return the useful permissions that this person has, and so may give."""
    user: Any = request.user
    if user.is_superuser:
        return useful_permissions()
    names = user.get_all_permissions()
    keys = [
        permission.pk
        for permission in useful_permissions()
        if f"{permission.content_type.app_label}.{permission.codename}" in names
    ]
    return useful_permissions().filter(pk__in=keys)


def groups_within(request: HttpRequest) -> QuerySet[Group]:
    """Return the groups that give nothing that this person lacks."""
    user: Any = request.user
    groups = Group.objects.order_by("name")
    if user.is_superuser:
        return groups
    beyond = Permission.objects.exclude(pk__in=_keys_of(user))
    return groups.exclude(permissions__in=beyond)


def _keys_of(user: Any) -> list[int]:
    names = user.get_all_permissions()
    return [
        permission.pk
        for permission in Permission.objects.select_related("content_type")
        if f"{permission.content_type.app_label}.{permission.codename}" in names
    ]


class Permitting(PortalModelAdmin):
    """A model that holds permissions."""

    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """Offer as a list to tick what this person may give."""
        if db_field.remote_field.model is Permission:
            kwargs["form_class"] = PermissionField
            kwargs["queryset"] = held(request)
        elif db_field.remote_field.model is Group:
            kwargs["queryset"] = groups_within(request)
        return super().formfield_for_manytomany(db_field, request, **kwargs)
