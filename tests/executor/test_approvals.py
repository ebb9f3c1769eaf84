"""Four eyes: who may decide about a run, what it is bound to, and that nothing is decided twice."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from executor.approval_decisions import current_approval, decide_run, lapse_overdue
from executor.approval_models import Approval, ApprovalDecision
from executor.approvals import object_to_start
from executor.approvers import Approver, approver_of
from executor.decision import Decision, decide
from executor.models import Action, CommandRun
from executor.requests import RunRequest
from techno.access.models import ApiKey
from techno.acts import person
from techno.gate import Governed, begin
from techno.governance.principal import Principal
from techno.governance.status import Status
from tests.approving import ask, key, new_action, staff

pytestmark = pytest.mark.usefixtures("database")


def decided(execution_id: str, user: User, *, approve: bool = True, reason: str = "seen") -> Any:
    governed = act(user)
    return decide_run(governed, execution_id, approver_of(user), approve=approve, reason=reason)


def act(user: User) -> Governed:
    governed = begin(method="POST", path="/admin/")
    governed.principal = person(user.get_username())
    return governed


@dataclass
class Row:
    action: str
    status: str
    reason_codes: list[str]
    principal_label: str


def rows(execution_id: str) -> list[Row]:
    """The audit rows about a run, oldest first."""
    from audit.models import AuditTrace

    found = AuditTrace.objects.filter(execution_id=execution_id).order_by("trace_id")
    return [Row(r.action, r.status, r.reason_codes, r.principal_label) for r in found]


def state(execution_id: str) -> tuple[str, str, str]:
    run = CommandRun.objects.get(pk=execution_id)
    return Approval.objects.get(pk=execution_id).state, run.state, run.status


def test_a_run_waits_until_enough_people_have_approved() -> None:
    wanted = new_action(approvals_needed=2)
    execution_id, ran = ask(key(), wanted)
    assert (ran.verdict.status, ran.verdict.codes) == (Status.NEUTRAL, ["G14_approval_required"])
    assert ran.verdict.http_status == 202
    assert state(execution_id) == ("waiting", "waiting", "")
    first, second = staff(), staff()
    assert decided(execution_id, first).approved
    assert state(execution_id) == ("waiting", "waiting", "")
    twice = decided(execution_id, first)
    assert twice.codes == ["G2_scope_denied"]
    assert decided(execution_id, second).approved
    assert state(execution_id)[:2] == ("approved", "queued")
    assert not decided(execution_id, staff()).approved
    assert [(row.action, row.status) for row in rows(execution_id)] == [
        (wanted.name, "NEUTRAL"),
        ("approval.approve", "APPROVED"),
        ("approval.approve", "BLOCKED"),
        ("approval.approve", "APPROVED"),
        ("approval.approve", "BLOCKED"),
    ]


def test_one_refusal_ends_it() -> None:
    execution_id, _ = ask(key(), new_action(approvals_needed=3))
    refuser = staff()
    assert decided(execution_id, refuser, approve=False).approved
    assert state(execution_id) == ("refused", "ended", "BLOCKED")
    assert CommandRun.objects.get(pk=execution_id).reason_codes == ["G15_approval_denied"]
    last = rows(execution_id)[-1]
    assert last == Row(
        "approval.refuse", "BLOCKED", ["G15_approval_denied"], refuser.get_username()
    )
    assert not decided(execution_id, staff()).approved


def test_it_lapses_by_the_keeper_and_by_a_look() -> None:
    wanted = new_action()
    first, second = ask(key(), wanted)[0], ask(key(), wanted)[0]
    past = timezone.now() - timedelta(seconds=1)
    Approval.objects.filter(pk__in=[first, second]).update(expires_at=past)
    assert decided(first, staff()).codes == ["G16_approval_expired"]
    assert lapse_overdue() >= 1
    for execution_id in (first, second):
        assert state(execution_id) == ("lapsed", "ended", "EXPIRED")
        lapses = [row for row in rows(execution_id) if row.action == "approval.lapse"]
        assert lapses == [Row("approval.lapse", "EXPIRED", ["G16_approval_expired"], "keeper")]
    assert lapse_overdue() == 0


def test_nobody_decides_about_their_own() -> None:
    wanted = new_action()
    owner, issuer = staff(), staff()
    mine = key(owner=owner.get_username().upper(), created_by=issuer)
    execution_id, _ = ask(mine, wanted)
    for somebody in (owner, issuer):
        verdict = decided(execution_id, somebody)
        assert verdict.codes == ["G2_scope_denied"]
        assert "own request" in verdict.message
    requester = staff()
    of_person, _ = ask(person(requester.get_username()), wanted)
    assert not decided(of_person, requester).approved
    assert decided(of_person, owner).approved
    # A key that changed hands after the request: its new owner is behind it as well.
    ApiKey.objects.filter(prefix=mine.identity).update(owner="somebody else")
    assert not decided(execution_id, owner).approved
    late = staff(email="late@example.org")
    ApiKey.objects.filter(prefix=mine.identity).update(owner="Late@example.org")
    assert not decided(execution_id, late).approved


def test_only_members_with_the_permission_decide() -> None:
    execution_id, _ = ask(key(), new_action(approver_groups=["deciders", "others"]))
    for somebody in (
        staff(),
        staff("deciders", permitted=False),
        staff("strangers"),
        User.objects.create(username=f"root_{uuid.uuid4().hex}", is_superuser=True, is_staff=True),
    ):
        assert decided(execution_id, somebody).codes == ["G2_scope_denied"]
    outsider = staff("deciders")
    User.objects.filter(pk=outsider.pk).update(is_active=False)
    outsider.refresh_from_db()
    assert decided(execution_id, outsider).codes == ["G2_scope_denied"]
    assert decided(execution_id, staff("others")).approved


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501, "OPS 12"])
def test_a_request_needs_a_reason_of_the_right_form(reason: str) -> None:
    execution_id, ran = ask(key(), new_action(reason_pattern="OPS-[0-9]+"), reason)
    assert (ran.verdict.codes, ran.verdict.http_status) == (["G11_invalid_payload"], 400)
    assert ran.verdict.message.startswith("reason: ")
    assert execution_id == ""


def test_a_decision_needs_a_reason_too() -> None:
    execution_id, _ = ask(key(), new_action(reason_pattern="OPS-[0-9]+"), "OPS-12")
    assert decided(execution_id, staff(), reason=" ").codes == ["G11_invalid_payload"]
    assert decided(execution_id, staff(), reason="looks right").approved


def test_of_many_at_once_each_counts_once() -> None:
    execution_id, _ = ask(key(), new_action(approvals_needed=3))
    people = [approver_of(staff()) for _ in range(6)]
    acts = [act(User(username=approver.username)) for approver in people]
    verdicts: list[bool] = []

    def approve(governed: Governed, approver: Approver) -> None:
        verdict = decide_run(governed, execution_id, approver, approve=True, reason="seen")
        verdicts.append(verdict.approved)

    threads = [
        threading.Thread(target=approve, args=pair) for pair in zip(acts, people, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [False] * 3 + [True] * 3
    assert Approval.objects.get(pk=execution_id).given == 3
    assert ApprovalDecision.objects.filter(execution_id=execution_id).count() == 3
    assert state(execution_id)[:2] == ("approved", "queued")


def resolved(principal: Principal, wanted: Action) -> Decision:
    governed = begin()
    governed.principal = principal
    decision = decide(governed, RunRequest(wanted.name))
    assert isinstance(decision, Decision)
    return decision


def test_what_starts_is_what_was_approved() -> None:
    wanted, asking = new_action(), key()
    decision = resolved(asking, wanted)
    execution_id, _ = ask(asking, wanted)
    assert object_to_start(execution_id, decision) is not None  # not approved yet
    decided(execution_id, staff())
    assert object_to_start(execution_id, decision) is None
    other = replace(decision, argv=("/bin/true", "--else"))
    refusal = object_to_start(execution_id, other)
    assert refusal is not None
    assert refusal.codes == ["G15_approval_denied"]
    assert state(execution_id)[0] == "void"
    assert object_to_start(execution_id, decision) is not None
    assert object_to_start("run_of_nobody", decision) is not None


def test_what_changed_or_lost_its_right_does_not_start() -> None:
    asking = key()
    for change in ({"version": 2}, {"enabled": False}):
        wanted = new_action()
        decision = resolved(asking, wanted)
        execution_id, _ = ask(asking, wanted)
        decided(execution_id, staff())
        Action.objects.filter(pk=wanted.pk).update(**change)
        assert object_to_start(execution_id, decision) is not None
    wanted = new_action()
    decision = resolved(asking, wanted)
    execution_id, _ = ask(asking, wanted)
    decided(execution_id, staff())
    ApiKey.objects.filter(prefix=asking.identity).update(revoked_at=timezone.now())
    refusal = object_to_start(execution_id, decision)
    assert refusal is not None
    assert refusal.codes == ["G0_auth_not_configured"]


def test_a_run_that_was_cancelled_while_it_waited_is_withdrawn() -> None:
    execution_id, _ = ask(key(), new_action())
    CommandRun.objects.filter(pk=execution_id).update(state="ended", status="BLOCKED")
    assert not decided(execution_id, staff()).approved
    lapse_overdue()
    assert state(execution_id)[0] == "withdrawn"
    assert current_approval(execution_id) is not None
