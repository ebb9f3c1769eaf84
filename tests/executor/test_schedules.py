"""Schedules: each firing once whoever claims it, on time or recorded as missed."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections
from django.utils import timezone

from audit.models import AuditTrace
from executor.approval_decisions import decide_run
from executor.approvers import approver_of
from executor.cron import next_due
from executor.models import ActionSchedule, CommandRun, ScheduleFiring
from executor.schedule_firing import fire_due, settle_claims
from executor.schedules import (
    Plan,
    add_schedule,
    change_schedule,
    delete_schedule,
    pause_schedule,
    resume_schedule,
    run_now,
)
from techno.access.models import ApiKey
from techno.acts import person
from techno.gate import Governed, begin
from tests.approving import key, new_action, staff

pytestmark = pytest.mark.usefixtures("database")
YEARLY = "0 0 1 1 *"


def act(username: str = "planner") -> Governed:
    governed = begin(method="POST", path="/admin/")
    governed.principal = person(username)
    return governed


def plan(**fields: Any) -> Plan:
    # Once a year: no test sees it become due by itself.
    usual = {"name": f"plan-{uuid.uuid4().hex[:12]}", "expression": YEARLY}
    if "action" not in fields:
        fields["action"] = new_action(approvals_needed=0).name
    return Plan(**(usual | fields))


@pytest.fixture
def schedule() -> Any:
    made = add_schedule(act(), plan())
    yield made
    ActionSchedule.objects.filter(pk=made.pk).delete()


def due(schedule: ActionSchedule, ago_s: float = 1) -> datetime:
    """Make a schedule due so long ago; return when that is."""
    at = timezone.now() - timedelta(seconds=ago_s)
    ActionSchedule.objects.filter(pk=schedule.pk).update(next_due_at=at)
    return at


def firings(schedule: ActionSchedule) -> list[ScheduleFiring]:
    return list(ScheduleFiring.objects.filter(schedule=schedule.name).order_by("pk"))


def test_a_firing_is_a_normal_governed_run(schedule: ActionSchedule) -> None:
    at = due(schedule)
    fired = [one for one in fire_due() if one.schedule == schedule.name]
    assert [one.verdict.codes for one in fired] == [["E1_queued"]]
    run = CommandRun.objects.get(pk=fired[0].execution_id)
    assert (run.principal_kind, run.principal_label) == ("system", f"schedule {schedule.name}")
    row = AuditTrace.objects.get(trace_id=run.trace_id)
    assert (row.action, row.status, row.method) == (schedule.action, "NEUTRAL", "SCHEDULE")
    (firing,) = firings(schedule)
    assert (firing.state, firing.due_at, firing.execution_id) == ("started", at, run.pk)
    schedule.refresh_from_db()
    assert schedule.next_due_at == next_due(YEARLY, "UTC", at)
    assert [one for one in fire_due() if one.schedule == schedule.name] == []


def test_of_many_hosts_one_fires(schedule: ActionSchedule) -> None:
    due(schedule)
    fired: list[str] = []

    def host() -> None:
        fired.extend(one.schedule for one in fire_due())
        connections.close_all()

    threads = [threading.Thread(target=host) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fired.count(schedule.name) == 1
    assert len(firings(schedule)) == 1


def test_what_is_too_late_is_recorded_once_and_not_caught_up(schedule: ActionSchedule) -> None:
    at = datetime(2026, 1, 1, 0, 0, tzinfo=UTC)
    often = {"next_due_at": at, "expression": "*/5 * * * *"}
    ActionSchedule.objects.filter(pk=schedule.pk).update(**often)
    now = datetime(2026, 1, 1, 1, 2, tzinfo=UTC)
    assert [one for one in fire_due(now) if one.schedule == schedule.name] == []
    (firing,) = firings(schedule)
    assert (firing.state, firing.due_at, firing.count) == ("missed", at, 13)
    assert firing.last_due_at == datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
    row = AuditTrace.objects.get(trace_id=firing.trace_id)
    assert (row.action, row.status, row.detail["count"]) == ("schedule.missed", "BLOCKED", 13)
    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2026, 1, 1, 1, 5, tzinfo=UTC)
    assert not CommandRun.objects.filter(trace_id=firing.trace_id).exists()


def test_a_run_by_hand_shifts_nothing(schedule: ActionSchedule) -> None:
    before = schedule.next_due_at
    fired = run_now(act("somebody"), schedule)
    assert fired.verdict.codes == ["E1_queued"]
    schedule.refresh_from_db()
    assert schedule.next_due_at == before
    (firing,) = firings(schedule)
    assert (firing.due_at, firing.asked_by, firing.state) == (None, "somebody", "started")
    row = AuditTrace.objects.get(trace_id=firing.trace_id)
    assert row.detail["asked_by"] == "somebody"


def test_a_key_that_lost_its_right_fires_a_refusal() -> None:
    asking = key()
    made = add_schedule(act(), plan(key_prefix=asking.identity))
    due(made)
    first = [one for one in fire_due() if one.schedule == made.name]
    assert CommandRun.objects.get(pk=first[0].execution_id).key_prefix == asking.identity
    ApiKey.objects.filter(prefix=asking.identity).update(revoked_at=timezone.now())
    due(made)
    (second,) = [one for one in fire_due() if one.schedule == made.name]
    assert second.verdict.codes == ["G0_auth_not_configured"]
    firing = firings(made)[-1]
    assert (firing.state, firing.status, firing.execution_id) == ("refused", "BLOCKED", "")
    assert AuditTrace.objects.get(trace_id=firing.trace_id).status == "BLOCKED"
    delete_schedule(act(), made)


def test_whoever_keeps_a_schedule_does_not_approve_its_runs() -> None:
    keeper, asker = staff(), staff()
    wanted = new_action()
    made = add_schedule(act(keeper.get_username()), plan(action=wanted.name, reason="nightly"))
    fired = run_now(act(asker.get_username()), made)
    assert fired.verdict.codes == ["G14_approval_required"]
    for user, may in ((keeper, False), (asker, False), (staff(), True)):
        governed = act(user.get_username())
        verdict = decide_run(
            governed, fired.execution_id, approver_of(user), approve=True, reason="x"
        )
        assert verdict.approved is may
    delete_schedule(act(), made)


def test_a_paused_schedule_misses_nothing(schedule: ActionSchedule) -> None:
    pause_schedule(act("pauser"), schedule)
    schedule.refresh_from_db()
    assert (schedule.paused_by, schedule.next_due_at) == ("pauser", None)
    assert [one for one in fire_due() if one.schedule == schedule.name] == []
    resume_schedule(act(), schedule)
    schedule.refresh_from_db()
    assert schedule.next_due_at is not None
    assert schedule.next_due_at > timezone.now()
    assert firings(schedule) == []


def test_a_claim_whose_claimer_died_is_settled(schedule: ActionSchedule) -> None:
    at = timezone.now() - timedelta(hours=1)
    run = run_now(act(), schedule)
    started = firings(schedule)[0]
    ScheduleFiring.objects.filter(pk=started.pk).update(
        state="claimed", fired_at=at, execution_id=""
    )
    lost = ScheduleFiring.objects.create(
        schedule=schedule.name,
        due_at=at,
        state="claimed",
        fired_at=at,
        trace_id=uuid.uuid4(),
        host="gone",
    )
    settle_claims()
    started.refresh_from_db()
    lost.refresh_from_db()
    assert (started.state, started.execution_id) == ("started", run.execution_id)
    assert lost.state == "missed"
    rows = AuditTrace.objects.filter(action="schedule.missed", detail__schedule=schedule.name)
    assert rows.count() == 1


def test_every_change_is_on_record_with_its_difference(schedule: ActionSchedule) -> None:
    changed = Plan(schedule.name, schedule.action, "0 3 * * *", "Europe/Berlin")
    change_schedule(act("changer"), schedule, changed)
    rows = AuditTrace.objects.filter(action="schedule.change", detail__schedule=schedule.name)
    assert [row.detail["after.expression"] for row in rows] == ["0 3 * * *"]
    assert [row.detail["before.zone"] for row in rows] == ["UTC"]
    schedule.refresh_from_db()
    assert schedule.changed_by == "changer"
    assert schedule.next_due_at == next_due("0 3 * * *", "Europe/Berlin", timezone.now())


def test_secret_parameters_are_kept_sealed_and_reach_the_run() -> None:
    wanted = new_action(
        approvals_needed=0,
        argv=["/bin/echo", "{name}"],
        parameters={
            "name": {"type": "string"},
            "token": {"type": "secret", "pass_as": "env:TOKEN"},
        },
    )
    made = add_schedule(
        act(), plan(action=wanted.name, parameters={"name": "x", "token": "hunter2hunter2"})
    )
    assert made.parameters == {"name": "x", "token": "***"}
    kept = " ".join(map(str, ActionSchedule.objects.filter(pk=made.pk).values()))
    assert "hunter2" not in kept
    rows = AuditTrace.objects.filter(action="schedule.add", detail__icontains=made.name)
    assert "hunter2" not in str(list(rows.values("detail")))
    fired = run_now(act(), made)
    assert fired.verdict.codes == ["E1_queued"]
    assert CommandRun.objects.get(pk=fired.execution_id).argv == ["/bin/echo", "x"]
    delete_schedule(act(), made)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Bad Name"}, "name"),
        ({"expression": "every day"}, "expression"),
        ({"zone": "Nowhere"}, "zone"),
        ({"action": "NO_SUCH_ACTION"}, "action"),
        ({"parameters": {"x": 1}}, "parameters"),
        ({"key_prefix": "NOBODY"}, "key_prefix"),
    ],
)
def test_what_could_not_fire_is_not_kept(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        add_schedule(act(), plan(**fields))
    assert list(raised.value.message_dict) == [field]


def test_names_are_given_once(schedule: ActionSchedule) -> None:
    with pytest.raises(ValidationError):
        add_schedule(act(), plan(name=schedule.name))
