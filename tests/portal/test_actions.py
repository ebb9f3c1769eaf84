"""Actions in the portal: the rules are those of the registry."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from audit.models import AuditTrace
from executor.models import Action
from executor.registry import find_action
from tests.portal.making import client_of, person

LIST = reverse("admin:executor_action_changelist")
ADD = reverse("admin:executor_action_add")
LETTERS = str.maketrans("0123456789abcdef", "ABCDEFGHIJKLMNOP")


def name() -> str:
    """Return the name of an action that no other test has."""
    return f"T_{uuid.uuid4().hex[:20]}".translate(LETTERS).upper()


def typed(**fields: Any) -> dict[str, Any]:
    """Return a filled-in form, with ``fields`` in place of the usual."""
    usual = {
        "name": name(),
        "description": "An action",
        "argv": '["/bin/echo", "hello"]',
        "environment": "{}",
        "working_directory": "",
        "timeout_s": "5",
        "output_limit_bytes": "4096",
        "parameters": "{}",
        "isolation": "{}",
        "max_running": "0",
        "max_queued": "0",
        "when_full": "wait",
        "queue": "",
        "approvals_needed": "0",
        "approver_groups": "[]",
        "approval_ttl_s": "3600",
        "reason_pattern": "",
        "enabled": "on",
    }
    return usual | fields


def from_file(**fields: Any) -> Action:
    return Action.objects.create(name=name(), argv=["/bin/true"], source="theirs.toml", **fields)


def test_what_is_typed_is_what_runs(admin_client: Client) -> None:
    form = typed(environment='{"LANG": "C"}')
    assert admin_client.post(ADD, form).status_code == 302
    action = find_action(form["name"])
    assert action is not None
    assert (action.argv, action.environment) == (("/bin/echo", "hello"), {"LANG": "C"})
    assert Action.objects.get(name=form["name"]).source == "portal"


def test_no_environment_is_none_and_not_null(admin_client: Client) -> None:
    form = typed(environment="")
    assert admin_client.post(ADD, form).status_code == 302
    action = find_action(form["name"])
    assert action is not None
    assert action.environment == {}


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("name", "lower", "3 to 32 characters of A-Z and underscore."),
        ("name", "AB", "3 to 32 characters"),
        ("argv", "", "required"),
        ("argv", "/bin/echo hello", "Enter a valid JSON."),
        ("argv", "[]", "required"),
        ("argv", '"/bin/echo"', "must be a list of texts"),
        ("argv", '["no-such-program-here"]', "absolute path"),
        ("argv", '["bin/echo"]', "absolute path"),
        ("parameters", '{"x": {"type": "text"}}', "x.type must be one of"),
        ("parameters", '{"x": {"type": "string"}}', "does not stand in argv"),
        ("isolation", '{"cpu": 1}', "isolation.cpu is not known"),
        ("working_directory", "here", "must be an absolute path"),
        ("when_full", "explode", "Select a valid choice"),
        ("queue", "A B", "Lower-case letters"),
        ("approver_groups", '"ops"', "must be a list"),
        ("reason_pattern", "(a", "no regular expression"),
        ("argv", '["/bin/echo", 1]', "must be a text"),
        ("argv", '["/bin/echo", "a\\u0000b"]', "NUL"),
        ("argv", '["/bin/echo", "\\ud800"]', "valid Unicode"),
        ("argv", "[" * 30_000, "Enter a valid JSON."),
        ("argv", "9" * 5_000, "Enter a valid JSON."),
        ("environment", '{"TECHNO_API_KEY": "x"}', "must not be set by an action"),
        ("environment", '{"A B": "x"}', "not the name of a variable"),
        ("environment", "[1]", "must be an object"),
        ("timeout_s", "0", "greater than or equal to 0.1"),
        ("timeout_s", "nan", "Enter a number."),
        ("output_limit_bytes", "17000000", "less than or equal to 16777216"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(
    admin_client: Client, field: str, value: str, complaint: str
) -> None:
    form = typed(**{field: value})
    response = admin_client.post(ADD, form)
    assert response.status_code == 200
    assert complaint in response.content.decode()
    assert not Action.objects.filter(name=form["name"]).exists()


def test_of_an_action_from_a_file_only_the_switch_can_be_changed(admin_client: Client) -> None:
    action = from_file()
    page = reverse("admin:executor_action_change", args=[action.pk])
    html = admin_client.get(page).content.decode()
    assert "theirs.toml" in html
    assert 'name="argv"' not in html
    forged = {"argv": '["/bin/evil"]', "name": "EVIL", "timeout_s": "99"}
    assert admin_client.post(page, forged).status_code == 302
    action.refresh_from_db()
    assert (action.argv, action.timeout_s, action.enabled) == (["/bin/true"], 15, False)
    assert action.name != "EVIL"
    delete = reverse("admin:executor_action_delete", args=[action.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def test_an_action_whose_file_breaks_a_rule_by_now_is_told_and_can_be_switched_off(
    admin_client: Client,
) -> None:
    action = from_file(parameters={"x": {"type": "string"}})
    page = reverse("admin:executor_action_change", args=[action.pk])
    response = admin_client.post(page, {})
    assert response.status_code == 200
    assert "does not stand in argv" in response.content.decode()
    chosen = {"action": "disable_selected", "_selected_action": [action.pk]}
    assert "1 action is" in admin_client.post(LIST, chosen, follow=True).content.decode()
    action.refresh_from_db()
    assert not action.enabled


def test_an_own_action_can_be_changed_and_deleted_but_not_renamed(admin_client: Client) -> None:
    form = typed()
    admin_client.post(ADD, form)
    action = Action.objects.get(name=form["name"])
    page = reverse("admin:executor_action_change", args=[action.pk])
    changed = typed(argv='["/bin/echo", "bye"]')
    assert admin_client.post(page, changed).status_code == 302
    action.refresh_from_db()
    assert (action.name, action.argv) == (form["name"], ["/bin/echo", "bye"])
    shown = admin_client.get(page).content.decode()
    assert json.dumps(action.argv, indent=2).replace('"', "&quot;") in shown
    delete = reverse("admin:executor_action_delete", args=[action.pk])
    assert admin_client.get(delete).status_code == 200
    assert admin_client.post(delete, {"post": "yes"}).status_code == 302
    assert not Action.objects.filter(pk=action.pk).exists()


def test_switching_off_and_on_is_an_action_on_the_list_and_leaves_who_did_it(
    admin_client: Client,
) -> None:
    chosen = [from_file(), from_file()]
    ids = [action.pk for action in chosen]
    for verb, enabled in (("disable_selected", False), ("enable_selected", True)):
        response = admin_client.post(LIST, {"action": verb, "_selected_action": ids}, follow=True)
        assert "2 actions are" in response.content.decode()
        assert {find_action(action.name).enabled for action in chosen} == {enabled}  # type: ignore[union-attr]
    of_actions = LogEntry.objects.filter(content_type__app_label="executor")
    assert of_actions.filter(object_id=str(ids[0]), content_type__model="action").count() == 2


def rows_about(action: str) -> list[tuple[str, str, dict[str, Any]]]:
    found = AuditTrace.objects.filter(action__startswith="action.").order_by("trace_id")
    return [
        (row.action, row.principal_kind, row.detail) for row in found if row.detail["of"] == action
    ]


def test_each_change_has_its_version_and_its_row(admin_client: Client) -> None:
    form = typed(argv='["echo", "{x}"]', parameters='{"x": {"type": "string"}}')
    assert admin_client.post(ADD, form).status_code == 302
    action = Action.objects.get(name=form["name"])
    assert action.argv == ["/usr/bin/echo", "{x}"]
    page = reverse("admin:executor_action_change", args=[action.pk])
    changed = form | {"timeout_s": "6", "isolation": '{"cpu_s": 3}'}
    assert admin_client.post(page, changed).status_code == 302
    assert admin_client.post(page, changed).status_code == 302  # the same again: nothing changes
    without = {name: value for name, value in changed.items() if name != "enabled"}
    assert admin_client.post(page, without).status_code == 302
    told = rows_about(action.name)
    assert [(verb, kind) for verb, kind, _ in told] == [
        ("action.create", "person"),
        ("action.change", "person"),
        ("action.disable", "person"),
    ]
    times = (told[1][2]["before.timeout_s"], told[1][2]["after.timeout_s"])
    assert times == ("5.0", "6.0")
    assert find_action(action.name).version == 2  # type: ignore[union-attr]
    html = admin_client.get(page).content.decode()
    assert "Versions" in html
    assert "<code>timeout_s</code>: <code>5.0</code> → <code>6.0</code>" in html


@pytest.mark.usefixtures("database")
def test_switching_needs_the_permission_to_change() -> None:
    action = from_file()
    client = client_of(person("executor.view_action", "executor.add_action"))
    assert "disable_selected" not in client.get(LIST).content.decode()
    client.post(LIST, {"action": "disable_selected", "_selected_action": [action.pk]})
    action.refresh_from_db()
    assert action.enabled
