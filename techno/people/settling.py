"""Bringing the release's roles to what the release says, after every migration."""

from __future__ import annotations

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from techno.people.models import GroupRule
from techno.people.roles import ROLES, Role


def settle_roles(using: str) -> None:
    """Make the groups of :data:`techno.people.roles.ROLES` and give them what they may.

    A permission that does not exist cannot be given: a test holds that there is none such, and a
    service must start all the same.
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
    group, _created = Group.objects.using(using).get_or_create(name=role.name)
    group.permissions.set([found[name] for name in role.permissions & found.keys()])
    rules = GroupRule.objects.using(using)
    rule, made = rules.get_or_create(
        group=group, defaults={"of_release": True, "requires_mfa": role.requires_mfa}
    )
    if not made and (not rule.of_release or (role.requires_mfa and not rule.requires_mfa)):
        rule.of_release = True
        rule.requires_mfa = rule.requires_mfa or role.requires_mfa
        rule.save()
