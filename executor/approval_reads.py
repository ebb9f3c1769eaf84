"""Approvals as they are read: one with all that decides about it, and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from executor.approval_models import ApprovalState
from executor.sql import statement
from techno.database.current import store
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.trace import iso


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """An approval as it stands, whatever its state; ``decisions`` are in their order."""

    execution_id: str
    action: str
    version: int | None
    digest: str
    reason: str
    needed: int
    given: int
    groups: Sequence[str]
    state: str
    requested_at: datetime
    expires_at: datetime
    is_past: bool
    run_state: str | None
    decisions: Sequence[dict[str, Any]]
    barred: frozenset[str]
    requester: Principal

    @property
    def is_open(self) -> bool:
        """Whether people may still decide."""
        return self.state == ApprovalState.WAITING and self.run_state == "waiting"

    def facts(self) -> dict[str, Any]:
        """Return what callers may know of it."""
        return {
            "state": self.state,
            "needed": self.needed,
            "given": self.given,
            "groups": list(self.groups),
            "reason": self.reason,
            "expires_at": iso(self.expires_at),
            "decisions": list(self.decisions),
        }


def find_approval(execution_id: str) -> PendingApproval | None:
    """Return the approval of a run, ``None`` for one that needed none.

    Raises ``StoreUnavailable``.
    """
    row = store().reads.row(statement("approval"), [execution_id])
    if row is None:
        return None
    *plain, barred, kind, identity, label = row
    plain += [frozenset(barred), Principal(PrincipalKind(kind), identity, label)]
    return PendingApproval(execution_id, *plain)
