"""The pages of approvals: what waits, what exactly is decided, and who is let decide."""

from __future__ import annotations

from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditTrace
from executor.models import Approval, CommandRun
from tests.approving import ask, key, new_action, staff
from tests.portal.making import client_of, person

pytestmark = pytest.mark.usefixtures("database")
LIST = reverse("admin:executor_approval_changelist")


def page(execution_id: str) -> str:
    return reverse("admin:executor_approval_change", args=[execution_id])


def decide(client: Client, execution_id: str, decision: str, reason: str = "read it") -> str:
    """Send a decision as the page's form does; return the page that follows."""
    path = reverse("admin:executor_approval_decide", args=[execution_id])
    response = client.post(path, {"decision": decision, "reason": reason}, follow=True)
    assert response.redirect_chain == [(page(execution_id), 302)]
    return unescape(response.content.decode())


def test_what_waits_stands_first_and_on_the_first_page(admin_client: Client) -> None:
    wanted = new_action(argv=["/bin/echo", "<b>\u202e"])
    waiting, _ = ask(key(), wanted, "for the <i>migration</i>")
    refused, _ = ask(key(), wanted)
    decide(client_of(staff()), refused, "refuse")
    html = admin_client.get(LIST).content.decode()
    assert html.index("Waiting for a decision") < html.index(page(waiting))
    assert "for the &lt;i&gt;migration&lt;/i&gt;" in html
    assert html.count(page(refused)) == 2  # its row only: the time and the execution id
    first = admin_client.get(reverse("admin:index")).content.decode()
    assert page(waiting) in first
    assert page(refused) not in first
    found = admin_client.get(LIST, {"state": "refused", "action": wanted.name}).content.decode()
    assert page(refused) in found
    assert page(waiting) not in found


def test_the_page_tells_what_would_run_and_a_decision_is_taken_there() -> None:
    wanted = new_action(argv=["/bin/echo", "<b>\u202e"], approvals_needed=2)
    execution_id, _ = ask(key(), wanted, "for the migration")
    first, second = client_of(staff()), client_of(staff())
    html = unescape(first.get(page(execution_id)).content.decode())
    for text in ("for the migration", "<b>⟦U+202E⟧", "version 1", "59 minutes left", "0 of 2"):
        assert text in html
    assert "You approved the run." in decide(first, execution_id, "approve", "ticket seen")
    after = unescape(first.get(page(execution_id)).content.decode())
    assert "You have decided about this already" in after
    assert "ticket seen" in after
    assert 'name="decision"' not in after
    decide(second, execution_id, "approve")
    assert CommandRun.objects.get(pk=execution_id).state == "queued"
    assert "This is decided already." in decide(client_of(staff()), execution_id, "refuse")
    recorded = AuditTrace.objects.filter(execution_id=execution_id, action="approval.approve")
    assert {row.method for row in recorded} == {"POST"}


def test_a_decision_without_a_reason_is_none() -> None:
    execution_id, _ = ask(key(), new_action())
    assert "Reason: must say why" in decide(client_of(staff()), execution_id, "approve", " ")
    assert Approval.objects.get(pk=execution_id).state == "waiting"


def test_who_may_not_decide_sees_why_and_is_refused_all_the_same() -> None:
    wanted = new_action(approver_groups=["page deciders"])
    owner = staff("page deciders")
    execution_id, _ = ask(key(owner=owner.get_username()), wanted)
    own, stranger = client_of(owner), client_of(staff())
    viewer = client_of(person("executor.view_approval"))
    for client, told in (
        (own, "Nobody decides about their own request"),
        (stranger, "Only members of page deciders"),
        (viewer, "Your account may not decide about runs."),
    ):
        html = unescape(client.get(page(execution_id)).content.decode())
        assert told in html
        assert 'name="decision"' not in html
    assert "Nobody decides about their own" in decide(own, execution_id, "approve")
    path = reverse("admin:executor_approval_decide", args=[execution_id])
    assert viewer.post(path, {"decision": "approve", "reason": "x"}).status_code == 403
    assert client_of(person()).get(page(execution_id)).status_code == 403
    assert own.get(path).status_code == 405
    assert stranger.post(path, {"decision": "both", "reason": "x"}).status_code == 404
    missing = reverse("admin:executor_approval_decide", args=["run_of_nobody"])
    assert stranger.post(missing, {"decision": "approve", "reason": "x"}).status_code == 404
    assert Approval.objects.get(pk=execution_id).given == 0


def test_a_look_at_the_page_lapses_what_is_past_its_time() -> None:
    execution_id, _ = ask(key(), new_action())
    Approval.objects.filter(pk=execution_id).update(expires_at=timezone.now())
    html = client_of(staff()).get(page(execution_id)).content.decode()
    assert "lapsed" in html
    assert 'name="decision"' not in html
    assert CommandRun.objects.get(pk=execution_id).status == "EXPIRED"
