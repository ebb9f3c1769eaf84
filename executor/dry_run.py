"""A run that is only asked about: what the gate would say, and what would be started."""

from __future__ import annotations

from executor.decision import Decision
from executor.parameters import MASK
from executor.ran import Ran
from techno.gate import Governed
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import APPROVED, refuse


def look_ahead(governed: Governed, decision: Decision) -> Ran:
    """Return the verdict of an allowed run before it starts, and what it would be made of.

    Nothing is started, queued or put before approvers; the audit row says so. What the host
    itself would refuse (a missing program, a limit that cannot be set) shows only in a real run.
    """
    governed.detail["dry_run"] = True
    verdict = APPROVED
    if decision.action.approvals_needed:
        verdict = refuse(ReasonCode.G14_APPROVAL_REQUIRED, http_status=200)
    return Ran(verdict, preview=_preview(decision))


def _preview(decision: Decision) -> dict[str, object]:
    action = decision.action
    return {
        "dry_run": True,
        "version": action.version,
        "argv": list(decision.shown_argv),
        "params": dict(decision.parameters),
        "environment": {
            name: MASK if value in decision.secrets else value
            for name, value in decision.environment.items()
        },
        "descriptors": sorted(map(int, decision.descriptors)),
        "working_directory": action.working_directory,
        "limits": {
            "timeout_s": action.timeout_s,
            "output_limit_bytes": action.output_limit_bytes,
            "max_running": action.max_running,
            "max_queued": action.max_queued,
            "when_full": action.when_full,
            "approvals_needed": action.approvals_needed,
            **action.isolation,
        },
        "is_async": action.is_async,
        "queue": action.queue,
    }
