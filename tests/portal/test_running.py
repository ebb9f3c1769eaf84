"""Running, watching and stopping from the portal, each look at output on record."""

from __future__ import annotations

import re
import uuid
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import AuditTrace
from executor.models import CommandRun
from tests.approving import new_action, staff
from tests.portal.making import client_of, make_run, person

pytestmark = pytest.mark.usefixtures("database")
CHOOSE = reverse("admin:executor_commandrun_choose")
PARAMETERS = {
    "host": {"type": "string", "pattern": "[a-z]+", "title": "Host"},
    "count": {"type": "integer", "minimum": 1, "maximum": 9, "default": 2},
    "mode": {"type": "string", "enum": ["fast", "slow"]},
    "loud": {"type": "boolean", "default": False, "flag": "--loud"},
    "token": {"type": "secret", "pass_as": "env:TOKEN", "required": False},
}
ARGV = ["/bin/echo", "{host}", "{count}", "{mode}", "{loud}"]
GIVEN = {"param_host": "web", "param_count": "3", "param_mode": "slow"}


def new(name: str) -> str:
    return reverse("admin:executor_commandrun_new", args=[name])


def page(execution_id: str, part: str = "change") -> str:
    return reverse(f"admin:executor_commandrun_{part}", args=[execution_id])


def run_of(location: str) -> CommandRun:
    found = re.search(r"run_[0-9a-f]+", location)
    assert found is not None
    return CommandRun.objects.get(pk=found.group())


@pytest.fixture
def operator() -> Client:
    return client_of(
        person("executor.run_action", "executor.view_commandrun", "executor.view_output")
    )


def test_a_form_is_made_of_the_parameters_and_runs_the_action(operator: Client) -> None:
    wanted = new_action(approvals_needed=0, argv=ARGV, parameters=PARAMETERS)
    assert new(wanted.name) in operator.get(CHOOSE).content.decode()
    html = operator.get(new(wanted.name)).content.decode()
    assert 'type="password" name="param_token"' in html
    assert 'name="param_loud"' in html
    secret = {"param_token": "hunter2hunter2"}
    response = operator.post(new(wanted.name), GIVEN | secret | {"param_loud": "on"})
    assert response.status_code == 302
    run = run_of(response["Location"])
    assert (run.argv, run.state) == (["/bin/echo", "web", "3", "slow", "--loud"], "queued")
    assert run.parameters["token"] == "***"
    row = AuditTrace.objects.get(trace_id=run.trace_id)
    assert (row.action, row.principal_kind, row.status) == (wanted.name, "person", "NEUTRAL")
    assert "hunter2" not in str(CommandRun.objects.filter(pk=run.pk).values())


def test_what_the_gate_refuses_is_told_on_the_form(operator: Client) -> None:
    wanted = new_action(approvals_needed=0, argv=ARGV, parameters=PARAMETERS)
    html = unescape(
        operator.post(new(wanted.name), GIVEN | {"param_host": "-rf /"}).content.decode()
    )
    assert "params.host" in html
    missing = operator.post(new(wanted.name), {"param_host": "web"}).content.decode()
    assert "please correct" in missing
    assert not CommandRun.objects.filter(action=wanted.name).exists()
    refused = AuditTrace.objects.filter(action=wanted.name)
    assert [row.status for row in refused] == ["BLOCKED"]


def test_what_needs_approval_wants_a_reason_and_a_confirmation(operator: Client) -> None:
    wanted = new_action(approvals_needed=2, approver_groups=["night watch"])
    html = operator.get(new(wanted.name)).content.decode()
    assert "approval of 2 other people" in html
    assert "night watch" in html
    assert operator.post(new(wanted.name), {"reason": "because"}).status_code == 200
    response = operator.post(new(wanted.name), {"reason": "because", "confirmed": "on"})
    run = run_of(response["Location"])
    assert run.state == "waiting"
    shown = operator.get(response["Location"]).content.decode()
    assert reverse("admin:executor_approval_change", args=[run.pk]) in shown


def test_who_may_run_is_a_permission() -> None:
    wanted = new_action(approvals_needed=0)
    viewer = client_of(person("executor.view_commandrun"))
    for path in (CHOOSE, new(wanted.name)):
        assert viewer.get(path).status_code == 403
    assert viewer.post(new(wanted.name), {}).status_code == 403
    runner = client_of(staff())
    assert runner.get(new("NO_SUCH_ACTION")).status_code == 404
    wanted.enabled = False
    wanted.save()
    assert runner.get(new(wanted.name)).status_code == 404


def looks(execution_id: str) -> list[str]:
    rows = AuditTrace.objects.filter(execution_id=execution_id, action="run.output.read")
    return [row.detail["as"] for row in rows.order_by("trace_id")]


def test_each_look_at_output_is_on_record(operator: Client) -> None:
    run = make_run(stdout="words of the run")
    assert "words of the run" in operator.get(page(run.pk)).content.decode()
    path = reverse("admin:executor_commandrun_output", args=[run.pk, "stdout"])
    assert operator.get(path).status_code == 200
    assert looks(run.pk) == ["page", "stdout file"]
    blind = client_of(person("executor.view_commandrun"))
    html = blind.get(page(run.pk)).content.decode()
    assert "words of the run" not in html
    assert "may not see what runs printed" in html
    assert blind.get(path).status_code == 403
    assert looks(run.pk) == ["page", "stdout file"]
    silent = make_run()
    operator.get(page(silent.pk))
    assert looks(silent.pk) == []


def put_output(execution_id: str, *pieces: bytes) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        position = 0
        for piece in pieces:
            cursor.execute(
                "INSERT INTO command_run_output (execution_id, position, stream, data)"
                " VALUES (%s, %s, 'stdout', %s)",
                [execution_id, position, piece],
            )
            position += len(piece)


def test_a_run_under_way_is_followed_by_the_page_that_was_recorded(operator: Client) -> None:
    run = make_run(state="running", status="", duration_ms=None)
    put_output(run.pk, b"one <b>\x1b[31m", "zwei ä".encode(), "ä".encode()[:1])
    try:
        html = operator.get(page(run.pk)).content.decode()
        assert "one &lt;b&gt;⟦ESC⟧[31mzwei ä<" in html
        live = unescape(re.findall(r'data-live="([^"]+)"', html)[0])
        told = operator.get(live).json()
        assert told["state"] == "running"
        assert told["streams"]["stdout"] == {"text": "one <b>⟦ESC⟧[31mzwei ä", "cut": False}
        assert looks(run.pk) == ["page"]
        assert "streams" not in operator.get(live.partition("?")[0]).json()
        other = client_of(person("executor.view_commandrun", "executor.view_output"))
        assert "streams" not in other.get(live).json()
        assert client_of(person()).get(live).status_code == 403
    finally:
        CommandRun.objects.filter(pk=run.pk).update(state="ended", status="BLOCKED")
    assert operator.get(live).json()["state"] == "ended"


def test_long_output_shows_its_end_while_it_grows(operator: Client) -> None:
    run = make_run(state="running", status="", duration_ms=None)
    put_output(run.pk, "ä".encode() * 20_000, b"the end")
    html = operator.get(page(run.pk)).content.decode()
    CommandRun.objects.filter(pk=run.pk).update(state="ended", status="BLOCKED")
    text = re.findall(r"data-live-stream=\"stdout\"[^>]*>(.*?)</pre>", html, re.DOTALL)[0]
    assert text.endswith("äthe end")
    assert text.startswith("ää")
    assert len(text.encode()) <= 16_384


def test_a_waiting_run_is_stopped_with_a_reason(operator: Client) -> None:
    wanted = new_action(approvals_needed=0)
    run = run_of(operator.post(new(wanted.name), {})["Location"])
    assert operator.post(page(run.pk, "cancel"), {"reason": "x"}).status_code == 403
    stopper = client_of(person("executor.cancel_commandrun", "executor.view_commandrun"))
    without = stopper.post(page(run.pk, "cancel"), {"reason": " "}, follow=True)
    assert "Say in one line why" in without.content.decode()
    assert "Stop the run" in stopper.get(page(run.pk)).content.decode()
    done = stopper.post(page(run.pk, "cancel"), {"reason": "wrong host"}, follow=True)
    html = done.content.decode()
    assert "The run was stopped." in html
    assert "wrong host" in html
    run.refresh_from_db()
    assert (run.state, run.reason_codes) == ("ended", ["E8_cancelled"])
    row = AuditTrace.objects.get(execution_id=run.pk, action="run.cancel")
    assert (row.status, row.principal_kind, row.detail["reason"]) == (
        "APPROVED",
        "person",
        "wrong host",
    )
    again = stopper.post(page(run.pk, "cancel"), {"reason": "again"}, follow=True)
    assert "had ended already" in again.content.decode()


def test_an_id_is_taken_as_it_is(operator: Client) -> None:
    """Django's admin would read ``_2f`` and the like in an address as another character."""
    run = make_run(execution_id=f"run_22{uuid.uuid4().hex[2:]}")
    assert operator.get(page(run.pk)).status_code == 200
