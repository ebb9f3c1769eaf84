"""Every view, action on selected rows and endpoint, for every role: closed unless it is said."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from techno.people.management.commands.roles import table
from techno.people.roles import NEED_SECOND_FACTOR, ROLES
from techno.web.middleware import is_governed
from tests.isolation import REPOSITORY
from tests.people.who import DOORS, ENTRANCE, NOBODY, OWN, PUBLIC, SELECTED, STAFF, VIEWS
from tests.portal.making import client_of, make_run, person, record, unique

#: Every role, somebody without any, and a superuser.
WHO = (*(role.name for role in ROLES), "nobody", "superuser")
#: Addresses below which each part of the API lies, so that refusals of one are not all.
ADDRESSES = {name: f"192.0.2.{number}" for number, name in enumerate(WHO, start=10)}
PERMISSIONS = {role.name: role.permissions for role in ROLES} | {"nobody": frozenset()}


#: Addresses to which something is sent, and that are not read. What they are about need not be
#: there: who may not is refused before that is looked for.
ONLY_SENT = ("_decide", "_cancel", "_pause", "_resume", "_run_now", "_remove")
NOTHING = 999_999_999


def somebody(name: str) -> User:
    """Make somebody with one role."""
    user = person(superuser=name == "superuser")
    if name in PERMISSIONS and name != "nobody":
        user.groups.add(Group.objects.get(name=name))
    return User.objects.get(pk=user.pk)


def lets_in(needed: frozenset[str], name: str) -> bool:
    """Whether a view that needs any of these lets in somebody of this role."""
    if needed == NOBODY:
        return False
    if needed == STAFF or name == "superuser":
        return True
    return not needed.isdisjoint(PERMISSIONS[name])


def routes(patterns: Any, namespace: str = "", prefix: str = "/") -> Iterator[tuple[str, str, str]]:
    """Return namespace, name and address of every route."""
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, pattern.namespace or namespace, address)
        elif isinstance(pattern, URLPattern):
            yield namespace, pattern.name or "", address


@pytest.fixture(scope="module")
def things(migrated_database: None, django_db_blocker: Any) -> dict[str, Any]:
    """Make one of everything that pages are about."""
    from allauth.usersessions.models import UserSession

    from executor.models import Action, ActionSchedule
    from techno.access.issue import issue_key
    from tests.approving import LETTERS

    letters = "".join(LETTERS[int(digit, 16)] for digit in uuid.uuid4().hex[:12])
    with django_db_blocker.unblock():
        owner = User.objects.create(username=unique("owner"), password="!")
        return {
            "access_apikey": issue_key(label="matrix", scopes=["execute"]).key.pk,
            "audit_audittrace": record(),
            "executor_action": Action.objects.create(
                name=f"M_{letters}", argv=["/bin/true"], source="portal"
            ).pk,
            "executor_actionschedule": ActionSchedule.objects.create(
                name=unique("schedule"),
                action=f"M_{letters}",
                expression="0 0 1 1 *",
                enabled=False,
            ).pk,
            "executor_approval": "nothing",
            "executor_commandrun": make_run(stdout="x").pk,
            "auth_user": owner.pk,
            "auth_group": Group.objects.create(name=unique("group")).pk,
            "usersessions_usersession": UserSession.objects.create(
                user=owner, ip="192.0.2.1", session_key=unique("s")[:40], user_agent="x"
            ).pk,
        }


def address_of(name: str, things: dict[str, Any]) -> str:
    """Return an address of the view ``name``."""
    if name == "view_on_site":
        return reverse("admin:view_on_site", args=[1, 1])
    if name.startswith("executor_actionschedule") and name.endswith(ONLY_SENT):
        return reverse(f"admin:{name}", args=[NOTHING])
    thing = next((pk for start, pk in things.items() if name.startswith(f"{start}_")), None)
    for arguments in ([], [thing], [thing, "stdout"]):
        try:
            return reverse(f"admin:{name}", args=arguments)
        except NoReverseMatch:
            continue
    raise AssertionError(f"{name} has no address")


def test_every_view_of_the_portal_is_in_the_table() -> None:
    known = set(VIEWS) | DOORS
    named = {name for where, name, _ in routes(get_resolver().url_patterns) if where == "admin"}
    assert named - {""} == known


def test_every_other_address_is_known() -> None:
    others = [
        (name, address)
        for where, name, address in routes(get_resolver().url_patterns)
        if where != "admin"
    ]
    unknown = [
        name
        for name, address in others
        if name not in OWN | ENTRANCE | PUBLIC and not is_governed(address)
    ]
    assert unknown == []


@pytest.mark.slow
@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", WHO)
def test_each_view_lets_in_whom_the_table_says(name: str, things: dict[str, Any]) -> None:
    client = client_of(somebody(name))
    wrong = {}
    for view, needed in VIEWS.items():
        ask = client.post if view.endswith(ONLY_SENT) else client.get
        response = ask(address_of(view, things))
        inside = response.status_code not in (403, 401) and "login" not in response.get(
            "Location", ""
        )
        if needed == NOBODY:  # it may also not be there
            inside = response.status_code in (200, 302)
        if inside != lets_in(needed, name):
            wrong[view] = response.status_code
    assert wrong == {}


@pytest.mark.usefixtures("database")
def test_a_stranger_is_let_in_nowhere(things: dict[str, Any]) -> None:
    client = Client()
    for view in VIEWS:
        response = client.get(address_of(view, things))
        assert response.status_code in (302, 405), view
        assert response.status_code == 405 or "/login/" in response["Location"], view
    for name in OWN - {"account_logout", "account_set_password"}:
        arguments = [1] if name in ("account_end_session", "mfa_edit_webauthn") else []
        arguments = [1] if name == "mfa_remove_webauthn" else arguments
        response = client.post(reverse(name, args=arguments))
        assert response.status_code == 302, name
        assert "/login/" in response["Location"], name


def test_every_action_on_selected_rows_is_in_the_table() -> None:
    found = {
        (model._meta.label_lower, action)
        for model, model_admin in admin.site._registry.items()
        for _function, action, _text in model_admin._get_base_actions()
    }
    assert found == set(SELECTED)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", WHO)
def test_each_action_is_offered_to_whom_the_table_says(name: str) -> None:
    request = RequestFactory().get("/admin/")
    request.user = somebody(name)
    for model, model_admin in admin.site._registry.items():
        offered = set(model_admin.get_actions(request))
        label = model._meta.label_lower
        wanted = {
            action
            for (of, action), needed in SELECTED.items()
            if of == label and lets_in(frozenset({needed}), name)
        }
        assert offered == wanted, label


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("name", WHO)
def test_a_session_opens_nothing_at_the_api(name: str) -> None:
    client = client_of(somebody(name))
    asked = 0
    for _where, route, address in routes(get_resolver().url_patterns):
        if not is_governed(address) or route in PUBLIC:
            continue
        path = address.replace("<uuid:trace_id>", str(uuid.uuid4())).replace(
            "<slug:execution_id>", "run_x"
        )
        assert "<" not in path, path
        for ask in (client.get, client.post):
            response = ask(path, REMOTE_ADDR=ADDRESSES[name])
            assert response.status_code in (401, 405, 429), path
            assert response.json()["status"] == "BLOCKED"
            asked += 1
    assert asked > 20


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_has_in_the_database_what_the_release_says(role: Any) -> None:
    group = Group.objects.get(name=role.name)
    found = {
        f"{one.content_type.app_label}.{one.codename}"
        for one in group.permissions.select_related("content_type")
    }
    assert found == role.permissions
    assert group.rule.of_release
    assert group.rule.requires_mfa or not role.requires_mfa


@pytest.mark.usefixtures("database")
def test_permissions_that_need_a_second_factor_exist() -> None:
    everything = {
        f"{one.content_type.app_label}.{one.codename}"
        for one in Permission.objects.select_related("content_type")
    }
    assert everything >= NEED_SECOND_FACTOR
    named = {needed for views in VIEWS.values() for needed in views} - {"staff", "nobody"}
    assert everything >= named | set(SELECTED.values())


def test_the_documentation_has_the_roles_of_the_code() -> None:
    page = (REPOSITORY / "docs" / "access.md").read_text(encoding="utf-8")
    shown = page.split("<!-- roles -->\n\n", 1)[1].split("\n<!-- /roles -->", 1)[0]
    assert shown == table()
