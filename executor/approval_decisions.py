"""Deciding about a run that waits: who may, what follows, and what happens when nobody does.

What happened to an approval are numbered rows. A decision is made on the ground of those that
are there, and its number is its key, so of two that come at once the second one fails and is
made anew on the new ground: no lock is held while a person or the audit log is waited for.
"""

from __future__ import annotations

import time
from typing import Any

from django.utils.translation import gettext_noop

from audit.recorder import AuditUnavailable
from executor.approval_models import REASON_LIMIT, ApprovalState
from executor.approval_reads import PendingApproval, find_approval
from executor.approval_statements import DECIDE_APPROVAL
from executor.approvals import complaint_about
from executor.approvers import Approver
from executor.requesters import people_behind
from executor.requests import RunRequest
from executor.sql import statement
from techno.database.current import store
from techno.database.errors import DuplicateKey
from techno.database.group_commit import Write
from techno.gate import Governed, begin, conclude
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.text import caller_text
from techno.governance.trace import iso_ms
from techno.governance.verdict import APPROVED, Verdict, refuse

KEEPER = Principal(PrincipalKind.SYSTEM, "keeper", "keeper")
_TRIES_MOST = 20
REFUSED = refuse(ReasonCode.G15_APPROVAL_DENIED)
LAPSED = refuse(ReasonCode.G16_APPROVAL_EXPIRED)
UNKNOWN = refuse(ReasonCode.G8_UNKNOWN_ACTION, message=gettext_noop("There is no such approval."))
DECIDED = refuse(ReasonCode.G11_INVALID_PAYLOAD, message=gettext_noop("This is decided already."))
BUSY = refuse(
    ReasonCode.E5_INTERNAL_ERROR,
    message=gettext_noop("Others decided all the while; please look again."),
)


def decide_run(
    governed: Governed, execution_id: str, approver: Approver, *, approve: bool, reason: str
) -> Verdict:
    """Approve or refuse a run in the name of ``approver``, and record it; return what became.

    ``APPROVED`` means that the decision stands. Anything else changed nothing, and is on record
    too. Raises ``audit.recorder.AuditUnavailable`` and ``StoreUnavailable``.
    """
    governed.action = "approval.approve" if approve else "approval.refuse"
    governed.execution_id = execution_id
    for _ in range(_TRIES_MOST):
        approval = current_approval(execution_id)
        objection = UNKNOWN if approval is None else object_to(approval, approver, reason)
        if approval is None or objection is not None:
            return _refused(governed, UNKNOWN if objection is None else objection)
        governed.detail.update(reason=caller_text(reason.strip(), REASON_LIMIT))
        if governed.principal.identity != approver.username:
            governed.detail["in_the_name_of"] = approver.username
        recorded = APPROVED if approve else REFUSED
        if _settled(governed, recorded, _decision(governed, approval, approver, approve, reason)):
            return APPROVED
    return _refused(governed, BUSY)


def _refused(governed: Governed, verdict: Verdict) -> Verdict:
    conclude(governed, verdict)
    return verdict


def _decision(
    governed: Governed, approval: PendingApproval, approver: Approver, approve: bool, reason: str
) -> dict[str, Any]:
    """Return the row of one person's decision."""
    given = approval.given + (1 if approve else 0)
    state = ApprovalState.REFUSED
    if approve:
        enough = given >= approval.needed
        state = ApprovalState.APPROVED if enough else ApprovalState.WAITING
    return _event(
        approval,
        governed.trace.trace_id,
        decision="approve" if approve else "refuse",
        person=approver.username,
        reason=caller_text(reason.strip(), REASON_LIMIT),
        state=state,
        given=given,
        verdict=None if approve else REFUSED,
        detail="" if approve else "an approver refused the run",
    )


def _event(
    approval: PendingApproval,
    trace_id: str,
    *,
    state: ApprovalState,
    verdict: Verdict | None,
    **fields: Any,
) -> dict[str, Any]:
    """Return the next numbered row of an approval's history."""
    number = len(approval.decisions) + 1
    return {
        "identity": f"{approval.execution_id}:{number}",
        "execution_id": approval.execution_id,
        "number": number,
        "person": "",
        "reason": "",
        "trace_id": trace_id,
        "decided_at": iso_ms(int(time.time() * 1000)),
        "state": state.value,
        "given": approval.given,
        "status": "" if verdict is None else verdict.status.value,
        "reason_codes": [] if verdict is None else verdict.codes,
        "detail": "",
        **fields,
    }


def _settled(governed: Governed, verdict: Verdict, row: dict[str, Any]) -> bool:
    """Commit a decision with its audit row; ``False`` when another one was faster."""
    governed.also = [Write(DECIDE_APPROVAL, row)]
    try:
        conclude(governed, verdict)
    except AuditUnavailable as error:
        if not isinstance(error.__cause__, DuplicateKey):
            raise
        governed.also = []
        return False
    return True


def object_to(approval: PendingApproval, approver: Approver, reason: str) -> Verdict | None:
    """Return why ``approver`` may not decide about ``approval``, ``None`` when they may."""
    if approval.state == ApprovalState.LAPSED:
        return LAPSED
    if not approval.is_open:
        return DECIDED
    standing = object_to_person(approval, approver)
    if standing is not None:
        return standing
    complaint = complaint_about(reason, "")
    if complaint:
        return refuse(ReasonCode.G11_INVALID_PAYLOAD, message=complaint)
    return None


def object_to_person(approval: PendingApproval, approver: Approver) -> Verdict | None:
    """Return why this person may not decide about this run at all, ``None`` when they may."""
    message = ""
    if not approver.permitted:
        message = gettext_noop("Your account may not decide about runs.")
    elif approval.groups and not approver.groups.intersection(approval.groups):
        message = "Only members of " + ", ".join(approval.groups) + " decide about this."
    elif approver.names & (approval.barred | _behind(approval)):
        message = gettext_noop(
            "Nobody decides about their own request, or about one of a key of theirs."
        )
    elif any(decision["person"] == approver.username for decision in approval.decisions):
        message = gettext_noop("You have decided about this already; it needs somebody else.")
    return refuse(ReasonCode.G2_SCOPE_DENIED, message=message) if message else None


def _behind(approval: PendingApproval) -> frozenset[str]:
    """Who stands behind the request now: a key may have got another owner since."""
    return people_behind(approval.requester, RunRequest(approval.action))


def current_approval(execution_id: str) -> PendingApproval | None:
    """Return the approval of a run as it is now; one that is past its time lapses by this look.

    Raises ``StoreUnavailable`` and ``audit.recorder.AuditUnavailable``.
    """
    approval = find_approval(execution_id)
    if approval is None or not (approval.is_open and approval.is_past):
        return approval
    lapse(approval)
    return find_approval(execution_id)


def lapse(approval: PendingApproval) -> bool:
    """End an approval whose time is over, on record; ``False`` when something else was faster."""
    governed = begin(method="KEEPER", path="approvals")
    governed.principal, governed.action = KEEPER, "approval.lapse"
    governed.execution_id = approval.execution_id
    row = _event(
        approval,
        governed.trace.trace_id,
        decision="lapse",
        state=ApprovalState.LAPSED,
        verdict=LAPSED,
        detail="nobody decided in time",
    )
    return _settled(governed, LAPSED, row)


def lapse_overdue() -> int:
    """Lapse what is past its time, and drop what is sealed for nothing; return how many lapsed.

    Raises ``StoreUnavailable`` and ``audit.recorder.AuditUnavailable``.
    """
    store().reads.rows(statement("withdraw_approvals"))
    lapsed = 0
    for (execution_id,) in store().reads.rows(statement("lapsed_approvals")):
        approval = find_approval(execution_id)
        if approval is not None and approval.is_open and approval.is_past:
            lapsed += lapse(approval)
    return lapsed
