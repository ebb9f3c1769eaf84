"""Bringing the release's roles to what the release says, after every migration."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from techno.people.models import GroupRule
from techno.people.roles import ROLES, Role


class UnknownPermission(Exception):
    """A role names a permission that no model has."""


def settle_roles(using: str) -> None:
    """Make the groups of :data:`techno.people.roles.ROLES` and give them what they may.

    Raises :class:`UnknownPermission` when a role names one that does not exist.
    """
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0, using=using)
    found = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.using(using).select_related("content_type")
    }
    with transaction.atomic(using=using):
        for role in ROLES:
            _settle(role, found, using)


def _settle(role: Role, found: dict[str, Permission], using: str) -> None:
    missing = role.permissions - found.keys()
    if missing:
        raise UnknownPermission(f"{role.name}: {', '.join(sorted(missing))}")
    group, _created = Group.objects.using(using).get_or_create(name=role.name)
    group.permissions.set([found[name] for name in role.permissions])
    rules = GroupRule.objects.using(using)
    rule, made = rules.get_or_create(
        group=group, defaults={"of_release": True, "requires_mfa": role.requires_mfa}
    )
    if not made and (not rule.of_release or (role.requires_mfa and not rule.requires_mfa)):
        rule.of_release = True
        rule.requires_mfa = rule.requires_mfa or role.requires_mfa
        rule.save()
