"""Users and groups: Django's, on our pages."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from tests.portal.making import person, unique

PASSWORD = "a long phrase that nobody guesses"


def test_a_person_is_added_with_permissions_and_can_sign_in(admin_client: Client) -> None:
    name = unique("person")
    added = admin_client.post(
        reverse("admin:auth_user_add"),
        {
            "username": name,
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    user = User.objects.get(username=name)
    page = reverse("admin:auth_user_change", args=[user.pk])
    assert added["Location"] == page
    view = Permission.objects.get(codename="view_audittrace")
    form = {"username": name, "is_active": "on", "is_staff": "on", "user_permissions": [view.pk]}
    assert admin_client.post(page, form).status_code == 302
    browser = Client()
    login = reverse("account_login")
    signed_in = browser.post(login, {"login": name, "password": PASSWORD, "next": "/admin/"})
    assert signed_in["Location"] == "/admin/"
    assert browser.get(reverse("admin:audit_audittrace_changelist")).status_code == 200
    assert browser.get(reverse("admin:auth_user_changelist")).status_code == 403


def test_only_permissions_that_do_something_are_offered(admin_client: Client) -> None:
    html = admin_client.get(reverse("admin:auth_group_add")).content.decode()
    assert "Traces: view" in html
    assert "API keys: change" in html
    for useless in ("Traces: add", "Command runs: delete", "API keys: delete", "Log entries"):
        assert useless not in html


def test_a_group_is_kept(admin_client: Client) -> None:
    view = Permission.objects.get(codename="view_commandrun")
    name = unique("group")
    form = {"name": name, "permissions": [view.pk]}
    assert admin_client.post(reverse("admin:auth_group_add"), form).status_code == 302
    assert list(Group.objects.get(name=name).permissions.all()) == [view]


def test_all_pages_of_a_person_are_there(admin_client: Client) -> None:
    user = person("audit.view_audittrace")
    for path in (
        reverse("admin:auth_user_change", args=[user.pk]),
        reverse("admin:auth_user_history", args=[user.pk]),
        reverse("admin:auth_user_password_change", args=[user.pk]),
        reverse("admin:auth_user_changelist") + "?is_staff__exact=1&q=person",
        reverse("account_overview"),
        reverse("admin:app_list", args=["auth"]),
    ):
        assert admin_client.get(path).status_code == 200
    left = admin_client.post(reverse("admin:logout"))
    assert left.status_code == 200
    assert "Logged out" in left.content.decode()


def test_the_admin_s_own_doors_lead_to_the_one_door(admin_client: Client) -> None:
    changed = admin_client.get(reverse("admin:password_change"))
    assert changed["Location"] == reverse("account_change_password")
    there = Client().get(reverse("admin:login"), {"next": "/admin/auth/user/"})
    assert there["Location"] == f"{reverse('account_login')}?next=%2Fadmin%2Fauth%2Fuser%2F"
    assert Client().post(reverse("admin:login"), {"username": "x"}).status_code == 302
