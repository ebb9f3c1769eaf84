"""Runs that wait for people: what asks for approval, what it is bound to, and its release.

The rules of deciding are in :mod:`executor.approval_decisions`.
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from executor.approval_models import REASON_LIMIT, ApprovalState
from executor.approval_reads import find_approval
from executor.approval_statements import OPEN_APPROVAL, OPEN_WAITING_RUN
from executor.decision import Decision
from executor.fleet import queued_row, told_verdict
from executor.patterns import compiled
from executor.ran import Ran
from executor.registry import find_action
from executor.requesters import people_behind, principal_now
from executor.requests import RunRequest
from executor.sealing import binding_digest, is_bound
from executor.sql import statement
from executor.statements import REMEMBER
from techno.database.current import store
from techno.database.group_commit import Write
from techno.gate import Governed, decide_action
from techno.governance.principal import Principal
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, refuse

WAITING = refuse(ReasonCode.G14_APPROVAL_REQUIRED)


def needs_approval(decision: Decision) -> bool:
    """Whether people must approve of this run before it starts."""
    return decision.action.approvals_needed > 0


def binding(decision: Decision, principal: Principal) -> dict[str, Any]:
    """Return all that an approval is bound to: what would run, exactly, and for whom."""
    return {
        "action": decision.action.name,
        "version": decision.action.version,
        "argv": list(decision.argv),
        "environment": dict(decision.environment),
        "descriptors": dict(decision.descriptors),
        "secrets": list(decision.secrets),
        "requester": [principal.kind.value, principal.identity],
    }


def request_approval(
    governed: Governed, decision: Decision, request: RunRequest, remembered: dict[str, Any] | None
) -> Ran:
    """Let the run wait; it and its approval become durable with the request's audit row.

    Without a reason that the action takes nothing waits: approvers decide about a purpose.
    ``remembered`` is what makes the request repeatable; it stands exactly if the run does.
    Raises ``DuplicateKey`` when a request of the same name came first.
    """
    action = decision.action
    complaint = complaint_about(request.reason, action.reason_pattern)
    if complaint:
        return Ran(refuse(ReasonCode.G11_INVALID_PAYLOAD, message=complaint))
    run = queued_row(governed, decision, request)
    principal = governed.principal
    approval = {
        **{name: run[name] for name in ("execution_id", "trace_id", "requested_at", "action")},
        **{name: run[name] for name in ("version", "argv", "parameters")},
        "digest": binding_digest(binding(decision, principal)),
        "requester_kind": principal.kind.value,
        "requester": principal.identity,
        "requester_label": principal.label,
        "barred": sorted(people_behind(principal, request)),
        "reason": request.reason.strip(),
        "needed": action.approvals_needed,
        "groups": list(action.approver_groups),
        "ttl_s": action.approval_ttl_s,
    }
    writes = [Write(OPEN_WAITING_RUN, run), Write(OPEN_APPROVAL, approval)]
    if remembered is None:
        governed.also += writes
    else:
        told = remembered | told_verdict(WAITING)
        store().writes.commit(*writes, Write(REMEMBER, told))
    governed.execution_id = run["execution_id"]
    governed.detail.update(approvals_needed=action.approvals_needed, reason=approval["reason"])
    facts = {
        "state": ApprovalState.WAITING.value,
        "needed": approval["needed"],
        "given": 0,
        "groups": approval["groups"],
        "reason": approval["reason"],
        "expires_at": iso_ms(governed.trace.arrived_ms + int(action.approval_ttl_s * 1000)),
        "decisions": [],
    }
    return Ran(WAITING, approval=facts)


def complaint_about(reason: str, pattern: str) -> str:
    """Return a sentence that says what is wrong with a reason, empty when nothing is."""
    text = reason.strip()
    if not text:
        return gettext_noop("reason: must say why this is asked for; approvers read it.")
    if len(text) > REASON_LIMIT or not text.isprintable():
        return f"reason: must be one line of at most {REASON_LIMIT} printable characters."
    if pattern and not compiled(pattern).matches(text):
        return gettext_noop(
            "reason: does not have the form that this action asks for "
            "(a ticket number, for example)."
        )
    return ""


def object_to_start(execution_id: str, decision: Decision) -> Verdict | None:
    """Return why a run must not start now for want of approval, ``None`` when it may.

    ``decision`` is what would start. Decided on the ground of now: it must be exactly what was
    approved, the action must not have changed since, and whoever asked for it must still be
    allowed to. Raises ``StoreUnavailable``.
    """
    approval = find_approval(execution_id)
    now = find_action(decision.action.name)
    if approval is None:
        needed = needs_approval(decision) or (now is not None and now.approvals_needed > 0)
        return _NOT_APPROVED if needed else None
    if approval.state != ApprovalState.APPROVED:
        return _NOT_APPROVED
    same = now is not None and now.enabled and now.version == approval.version
    if not same or not is_bound(approval.digest, binding(decision, approval.requester)):
        store().reads.rows(statement("void_approval"), [execution_id])
        return _CHANGED
    principal = principal_now(approval.requester)
    if isinstance(principal, Verdict):
        return principal
    verdict = decide_action(principal, approval.action)
    return None if verdict.approved else verdict


_NOT_APPROVED = refuse(ReasonCode.G15_APPROVAL_DENIED, message="The run is not approved.")
_CHANGED = refuse(
    ReasonCode.G15_APPROVAL_DENIED,
    message="The action is no longer what was approved; ask for it again.",
)
