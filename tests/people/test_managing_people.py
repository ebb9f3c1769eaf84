"""Changing people and groups: on record, without secrets, and nobody gives what they lack."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from techno.people.adapters.second_factors import SecondFactorAdapter
from techno.people.roles import ROLES
from tests.people.conftest import PASSWORD, rows
from tests.portal.making import client_of, person, unique

pytestmark = pytest.mark.usefixtures("database")


def administrator() -> User:
    user = person()
    user.groups.add(Group.objects.get(name="administrator"))
    return User.objects.get(pk=user.pk)


def change(browser: Client, user: User, **form: object) -> int:
    page = reverse("admin:auth_user_change", args=[user.pk])
    usual = {"username": user.username, "is_active": "on", "is_staff": "on"}
    return browser.post(page, usual | form).status_code


def test_a_change_of_a_person_is_told_with_before_and_after() -> None:
    admin, user = administrator(), person()
    viewer = Group.objects.get(name="viewer")
    assert change(client_of(admin), user, first_name="Ana", groups=[viewer.pk]) == 302
    (row,) = rows(action="user.change", principal_label=admin.username)
    assert row.detail["of"] == user.username
    assert (row.detail["before.first_name"], row.detail["after.first_name"]) == ("", "Ana")
    assert row.detail["added.groups"] == "viewer"
    assert "password" not in str(row.detail)


def test_a_new_password_is_told_and_not_shown() -> None:
    admin, user = administrator(), person()
    page = reverse("admin:auth_user_password_change", args=[user.pk])
    form = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert client_of(admin).post(page, form).status_code == 302
    (row,) = rows(action="user.change", principal_label=admin.username)
    assert row.detail["of"] == user.username
    assert PASSWORD not in str(row.detail)
    assert "argon2" not in str(row.detail)


def test_a_superuser_is_out_of_an_administrator_s_reach() -> None:
    browser, chief = client_of(administrator()), person(superuser=True)
    assert change(browser, chief, first_name="x") == 403
    password = reverse("admin:auth_user_password_change", args=[chief.pk])
    assert browser.post(password, {"password1": PASSWORD, "password2": PASSWORD}).status_code == 403
    action = {"action": "forget_factors", "_selected_action": [chief.pk]}
    browser.post(reverse("admin:auth_user_changelist"), action)
    assert rows(action="factor.forget", detail__of=chief.username) == []


def test_nobody_makes_superusers_but_superusers() -> None:
    user = person()
    assert change(client_of(administrator()), user, is_superuser="on") == 302
    user.refresh_from_db()
    assert not user.is_superuser
    assert change(client_of(person(superuser=True)), user, is_superuser="on") == 302
    user.refresh_from_db()
    assert user.is_superuser


def test_nobody_gives_what_they_lack() -> None:
    helper, user = person("auth.view_user", "auth.change_user", "audit.view_audittrace"), person()
    browser = client_of(helper)
    boss = Group.objects.get(name="administrator")
    assert change(browser, user, groups=[boss.pk]) == 200  # the form is refused
    assert not user.groups.exists()
    from django.contrib.auth.models import Permission

    forbidden = Permission.objects.get(codename="add_apikey")
    assert change(browser, user, user_permissions=[forbidden.pk]) == 200
    allowed = Permission.objects.get(codename="view_audittrace")
    assert change(browser, user, user_permissions=[allowed.pk]) == 302
    assert list(user.user_permissions.all()) == [allowed]
    assert change(browser, administrator(), first_name="x") == 403


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_release_s_roles_are_not_changed_or_deleted(
    admin_browser: Client, role: object
) -> None:
    group = Group.objects.get(name=role.name)
    before = set(group.permissions.values_list("pk", flat=True))
    page = reverse("admin:auth_group_change", args=[group.pk])
    asks = {"requires_mfa": "on"} if group.rule.requires_mfa else {}
    assert admin_browser.post(page, {"name": "other", "permissions": [], **asks}).status_code == 302
    group.refresh_from_db()
    assert group.name == role.name
    assert set(group.permissions.values_list("pk", flat=True)) == before
    gone = reverse("admin:auth_group_delete", args=[group.pk])
    assert admin_browser.post(gone, {"post": "yes"}).status_code == 403


@pytest.fixture
def admin_browser() -> Client:
    return client_of(person(superuser=True))


def test_a_group_of_one_s_own_can_ask_for_second_factors(admin_browser: Client) -> None:
    name = unique("group")
    form = {"name": name, "requires_mfa": "on"}
    assert admin_browser.post(reverse("admin:auth_group_add"), form).status_code == 302
    assert Group.objects.get(name=name).rule.requires_mfa


def with_factor() -> User:
    user = person()
    secret = SecondFactorAdapter().encrypt("JBSWY3DPEHPK3PXP")
    Authenticator.objects.create(user=user, type="totp", data={"secret": secret})
    return user


def test_forgotten_factors_are_gone_with_the_sessions_and_leave_one_row() -> None:
    admin, user = administrator(), with_factor()
    action = {"action": "forget_factors", "_selected_action": [user.pk]}
    client_of(admin).post(reverse("admin:auth_user_changelist"), action)
    assert not Authenticator.objects.filter(user=user).exists()
    (row,) = rows(action="factor.forget", principal_label=admin.username)
    assert row.detail["kinds"] == "totp"
    assert rows(action="factor.remove", principal_label=admin.username) == []


def test_the_terminal_forgets_factors_too() -> None:
    user = with_factor()
    call_command("people", "forget-factors", user.username)
    call_command("people", "end-sessions", user.username)
    assert not Authenticator.objects.filter(user=user).exists()
    (row,) = rows(action="factor.forget", detail__of=user.username)
    assert (row.principal_kind, row.method) == ("system", "COMMAND")
    with pytest.raises(CommandError):
        call_command("people", "forget-factors", "nobody at all")


def test_the_secret_of_an_app_lies_encrypted() -> None:
    user = with_factor()
    kept = Authenticator.objects.get(user=user).data["secret"]
    assert "JBSWY3DPEHPK3PXP" not in kept
    assert SecondFactorAdapter().decrypt(kept) == "JBSWY3DPEHPK3PXP"


def test_an_administrator_ends_other_people_s_sessions() -> None:
    from allauth.usersessions.models import UserSession

    admin, user = administrator(), person()
    session = UserSession.objects.create(
        user=user, ip="192.0.2.9", session_key=unique("s")[:40], user_agent="x"
    )
    form = {"action": "end_selected", "_selected_action": [session.pk]}
    answer = client_of(admin).post(reverse("admin:usersessions_usersession_changelist"), form)
    assert answer.status_code == 302
    assert not UserSession.objects.filter(pk=session.pk).exists()
    (row,) = rows(action="session.end", principal_label=admin.username)
    assert row.detail == {"of": user.username, "from": "192.0.2.9"}
