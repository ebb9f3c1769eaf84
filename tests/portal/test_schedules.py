"""The pages of schedules: what fires when, and that keeping one is as good as running it."""

from __future__ import annotations

import json
import uuid
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import AuditTrace
from executor.models import ActionSchedule, CommandRun, ScheduleFiring
from tests.approving import key, new_action
from tests.portal.making import client_of, person

pytestmark = pytest.mark.usefixtures("database")
LIST = reverse("admin:executor_actionschedule_changelist")
ADD = reverse("admin:executor_actionschedule_add")
KEEP = tuple(f"executor.{verb}_actionschedule" for verb in ("add", "change", "delete", "view"))


def page(schedule: ActionSchedule, part: str = "change") -> str:
    return reverse(f"admin:executor_actionschedule_{part}", args=[schedule.pk])


def fields(**given: Any) -> dict[str, Any]:
    usual = {"name": f"page-{uuid.uuid4().hex[:10]}", "expression": "30 2 * * *", "zone": "UTC"}
    return usual | {"parameters": "", "reason": "", "key_prefix": ""} | given


@pytest.fixture
def planner() -> Client:
    return client_of(person(*KEEP, "executor.run_action", "executor.run_schedule"))


def added(client: Client, **given: Any) -> ActionSchedule:
    form = fields(**given)
    assert client.post(ADD, form).status_code == 302
    return ActionSchedule.objects.get(name=form["name"])


def test_a_schedule_is_kept_shown_changed_and_removed(planner: Client) -> None:
    wanted = new_action(approvals_needed=0)
    made = added(planner, action=wanted.name, zone="America/Sao_Paulo")
    assert page(made) in planner.get(LIST).content.decode()
    html = planner.get(page(made)).content.decode()
    assert html.count("02:30 -03") == 5
    assert "It has not fired yet." in html
    planner.post(page(made), fields(name="other", action=wanted.name, expression="0 3 * * *"))
    made.refresh_from_db()
    assert made.expression == "0 3 * * *"
    assert made.name != "other"
    planner.post(page(made, "pause"))
    paused = planner.get(page(made)).content.decode()
    assert "Paused by" in paused
    planner.post(page(made, "resume"))
    assert ActionSchedule.objects.get(pk=made.pk).enabled
    ran = planner.post(page(made, "run_now"), follow=True).content.decode()
    assert "The run is on its way." in ran
    firing = ScheduleFiring.objects.get(schedule=made.name)
    assert CommandRun.objects.get(pk=firing.execution_id).state == "queued"
    assert "by hand" in ran
    planner.post(page(made, "remove"))
    assert not ActionSchedule.objects.filter(pk=made.pk).exists()
    recorded = AuditTrace.objects.filter(
        action__startswith="schedule.", detail__schedule=made.name
    ).values_list("action", flat=True)
    wanted_rows = ["change", "pause", "resume", "run_now", "delete"]
    assert sorted(recorded) == sorted(f"schedule.{verb}" for verb in wanted_rows)


def test_what_could_not_fire_is_marked_on_the_form(planner: Client) -> None:
    wanted = new_action(approvals_needed=0)
    for bad, told in (
        ({"expression": "every day"}, "five fields"),
        ({"zone": "Nowhere"}, "not the name of a time zone"),
        ({"parameters": '{"x": 1}'}, "is not a parameter of this action"),
        ({"parameters": "[1]"}, "Enter a JSON object."),
    ):
        response = planner.post(ADD, fields(action=wanted.name) | bad)
        assert response.status_code == 200
        assert told in unescape(response.content.decode())


def test_secrets_are_never_shown_and_stay_when_not_typed_anew(planner: Client) -> None:
    wanted = new_action(
        approvals_needed=0, parameters={"token": {"type": "secret", "pass_as": "env:TOKEN"}}
    )
    made = added(planner, action=wanted.name, parameters='{"token": "hunter2hunter2"}')
    html = unescape(planner.get(page(made)).content.decode())
    assert "hunter2" not in html
    assert '"token": "***"' in html
    again = fields(action=wanted.name, parameters=json.dumps({"token": "***"}), reason="same")
    assert planner.post(page(made), again).status_code == 302
    from executor.sealing import unseal

    made.refresh_from_db()
    assert (made.reason, unseal(made.sealed)) == ("same", {"token": "hunter2hunter2"})


def test_only_keys_that_one_answers_for_can_be_chosen() -> None:
    wanted = new_action(approvals_needed=0)
    user = person(*KEEP, "executor.run_action")
    client = client_of(user)
    own, other = key(owner=user.username), key()
    html = client.get(ADD).content.decode()
    assert own.identity in html
    assert other.identity not in html
    refused = client.post(ADD, fields(action=wanted.name, key_prefix=other.identity))
    assert refused.status_code == 200
    assert added(client, action=wanted.name, key_prefix=own.identity).key_prefix == own.identity


def test_keeping_a_schedule_needs_the_right_to_run(planner: Client) -> None:
    wanted = new_action(approvals_needed=0)
    made = added(planner, action=wanted.name)
    keeper = client_of(person(*KEEP))
    assert keeper.get(ADD).status_code == 403
    assert keeper.get(page(made)).status_code == 200
    for path in (page(made), *(page(made, verb) for verb in ("pause", "run_now", "remove"))):
        assert keeper.post(path, fields(action=wanted.name)).status_code == 403
    viewer = client_of(person("executor.view_actionschedule"))
    assert "submit-row" not in viewer.get(page(made)).content.decode()
    assert client_of(person()).get(page(made)).status_code == 403
    assert planner.get(page(made, "pause")).status_code == 405
    assert planner.get(page(made, "delete")).status_code == 404
