"""Who may see and do what, on every page that there is."""

from __future__ import annotations

import uuid

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.portal.making import client_of, make_run, person, record

LISTS = {
    "audit_audittrace": "audit.view_audittrace",
    "executor_commandrun": "executor.view_commandrun",
    "executor_approval": "executor.view_approval",
    "executor_actionschedule": "executor.view_actionschedule",
    "executor_action": "executor.view_action",
    "access_apikey": "access.view_apikey",
    "auth_user": "auth.view_user",
    "auth_group": "auth.view_group",
    "usersessions_usersession": "usersessions.view_usersession",
}
LEDGERS = ("audit_audittrace", "executor_commandrun", "executor_approval")


def address(name: str, page: str = "changelist") -> str:
    return reverse(f"admin:{name}_{page}")


def test_every_model_with_pages_is_in_these_tests() -> None:
    registered = {f"{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry}
    assert registered == set(LISTS)


def test_every_action_of_every_model_names_its_permission() -> None:
    for model, model_admin in admin.site._registry.items():
        for action in model_admin._get_base_actions():
            function, name, _description = action
            assert getattr(function, "allowed_permissions", None), f"{model.__name__}.{name}"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", LISTS)
def test_a_stranger_gets_the_login_page(name: str) -> None:
    for path in (address(name), reverse("admin:index")):
        response = Client().get(path)
        assert response.status_code == 302
        assert response["Location"] == f"{reverse('admin:login')}?next={path}"


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", LISTS)
def test_staff_without_the_permission_is_refused_and_sees_no_link(name: str) -> None:
    client = client_of(person())
    assert client.get(address(name)).status_code == 403
    assert address(name) not in client.get(reverse("admin:index")).content.decode()


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("name", "permission"), LISTS.items())
def test_the_view_permission_shows_the_list_and_offers_nothing_else(
    name: str, permission: str
) -> None:
    client = client_of(person(permission))
    page = client.get(address(name))
    assert page.status_code == 200
    html = page.content.decode()
    assert "/add/" not in html
    assert 'name="action"' not in html or name in LEDGERS
    index = client.get(reverse("admin:index")).content.decode()
    assert f'href="{address(name)}"' in index
    assert [other for other in LISTS if address(other) in index] == [name]


@pytest.mark.usefixtures("database")
def test_entries_need_the_permission_too() -> None:
    trace, run = record(), make_run(stdout="secret words")
    client = client_of(person())
    for path in (
        reverse("admin:audit_audittrace_change", args=[trace]),
        reverse("admin:executor_commandrun_change", args=[run.pk]),
        reverse("admin:executor_commandrun_output", args=[run.pk, "stdout"]),
    ):
        response = client.get(path)
        assert response.status_code == 403
        assert b"secret words" not in response.content


@pytest.mark.parametrize("name", LEDGERS)
def test_ledgers_have_no_address_for_writing(admin_client: Client, name: str) -> None:
    for page in ("add", "delete", "history"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:{name}_{page}", args=() if page == "add" else ["x"])
    trace, run = record(), make_run()
    for method in ("post", "put", "delete", "patch"):
        ask = getattr(admin_client, method)
        assert ask(address(name)).status_code == 405
        assert ask(reverse("admin:audit_audittrace_change", args=[trace])).status_code == 405
        assert ask(reverse("admin:executor_commandrun_change", args=[run.pk])).status_code == 405


@pytest.mark.parametrize(
    "path", ["/admin/audit/audittrace/nothing/", "/admin/executor/commandrun/nothing/"]
)
def test_what_does_not_exist_is_a_page_of_ours(admin_client: Client, path: str) -> None:
    for asked in (path, path.replace("nothing", str(uuid.uuid4())), "/admin/nothing/"):
        response = admin_client.get(asked)
        assert response.status_code == 404
        assert "There is no such page" in response.content.decode()


def test_people_and_keys_outlive_their_deletion_in_history(admin_client: Client) -> None:
    somebody = person()
    for path in (
        reverse("admin:auth_user_delete", args=[somebody.pk]),
        reverse("admin:access_apikey_delete", args=[0]),
    ):
        assert admin_client.post(path, {"post": "yes"}).status_code in (302, 403)
    somebody.refresh_from_db()


def test_every_page_holds_the_strict_policy_and_nothing_is_kept(admin_client: Client) -> None:
    for path in (
        *(address(name) for name in LISTS),
        reverse("admin:index"),
        reverse("admin:access_apikey_add"),
    ):
        response = admin_client.get(path)
        assert response.status_code == 200
        policy = response["Content-Security-Policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["default-src"] == directives["base-uri"] == "'none'"
        assert directives["script-src"] == directives["style-src"] == "'self'"
        assert directives["frame-ancestors"] == "'none'"
        assert "unsafe" not in policy
        assert "publickey-credentials-get=(self)" in response["Permissions-Policy"]
        assert response["X-Frame-Options"] == "DENY"
        assert "no-store" in response["Cache-Control"]
