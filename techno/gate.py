"""The one way through: decide, record the intent, act, record the outcome.

Console requests come here from the middleware and the adapters; the portal, the workers and the
command line come here too. Whoever acts holds a :class:`Governed`; it ends in exactly one audit
row, written by :func:`conclude` together with whatever the act left to be closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import uuid_utils

from audit import recorder
from techno.database.group_commit import Write
from techno.governance.principal import ANONYMOUS, Principal, Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.text import caller_text
from techno.governance.trace import Trace
from techno.governance.verdict import APPROVED, Verdict, refuse

PATH_LIMIT = 512
AGENT_LIMIT = 256
SESSION_LIMIT = 128
ACTION_LIMIT = 64


@dataclass(slots=True)
class Governed:
    """One governed act on its way through the gate.

    It begins as a trace and nothing else; each step adds what it learnt. ``also`` are writes
    that must become durable together with the audit row, or not at all. ``headers`` is what an
    adapter shall tell the caller beside its answer, ``releases`` what it shall call once the
    answer is made.
    """

    trace: Trace
    principal: Principal = ANONYMOUS
    action: str = "unknown"
    session_id: str = ""
    execution_id: str | None = None
    detail: dict[str, str | int | bool | None] = field(default_factory=dict)
    also: list[Write] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    releases: list[Callable[[], None]] = field(default_factory=list)

    def elapsed_s(self) -> float:
        """How long ago the request arrived."""
        return time.monotonic() - self.trace.arrived_monotonic_s

    def name_session(self, session_id: str) -> None:
        """Note the caller's session; the first one that is named stays."""
        self.session_id = self.session_id or caller_text(session_id, SESSION_LIMIT)


def begin(
    *,
    method: str = "",
    path: str = "",
    client_address: str = "",
    user_agent: str = "",
    session_id: str = "",
) -> Governed:
    """Open a governed act: a fresh UUIDv7, the clocks, and the caller's texts made harmless."""
    identity = uuid_utils.uuid7()
    trace = Trace(
        trace_id=str(identity),
        arrived_ms=identity.timestamp,
        arrived_monotonic_s=time.monotonic(),
        method=caller_text(method, ACTION_LIMIT),
        path=caller_text(path, PATH_LIMIT),
        client_address=client_address,
        user_agent=caller_text(user_agent, AGENT_LIMIT),
    )
    return Governed(trace, session_id=caller_text(session_id, SESSION_LIMIT))


def decide_scope(principal: Principal, scope: Scope) -> Verdict:
    """Decide whether ``principal`` may use an endpoint that needs ``scope``."""
    if principal.provisional and scope is not Scope.DIAGNOSTICS_READ:
        return unavailable()
    if principal.has_scope(scope):
        return APPROVED
    return refuse(
        ReasonCode.G2_SCOPE_DENIED, message=f"This key was not issued for the scope {scope.value}."
    )


def decide_action(principal: Principal, action: str) -> Verdict:
    """Decide whether ``principal`` may run ``action``, before asking whether it exists.

    In this order a key that is limited to some actions cannot find out which others there are.
    """
    if principal.may_run(action):
        return APPROVED
    return refuse(ReasonCode.G2_SCOPE_DENIED, message="This key was not issued for this action.")


def conclude(governed: Governed, verdict: Verdict, *, http_status: int | None = None) -> None:
    """Record the outcome: the audit row, and ``governed.also``, in one transaction.

    Raises ``audit.recorder.AuditUnavailable`` when nothing became durable; the caller must then
    answer 503 and must not tell the outcome.
    """
    trace = governed.trace
    if governed.session_id:
        trace = Trace(
            trace.trace_id,
            trace.arrived_ms,
            trace.arrived_monotonic_s,
            trace.method,
            trace.path,
            trace.client_address,
            governed.session_id,
            trace.user_agent,
        )
    entry = recorder.Entry(
        trace=trace,
        verdict=verdict,
        action=governed.action,
        duration_ms=round(governed.elapsed_s() * 1000),
        principal=governed.principal,
        execution_id=governed.execution_id,
        http_status=verdict.http_status if http_status is None else http_status,
        detail=governed.detail,
    )
    recorder.record(entry, *governed.also)


def unavailable() -> Verdict:
    """The verdict of a request whose row cannot be written: nothing was done, ask again."""
    return refuse(
        ReasonCode.E5_INTERNAL_ERROR,
        ReasonCode.G17_AUDIT_UNAVAILABLE,
        http_status=503,
        message="The audit log cannot be written at the moment, so the request was refused.",
    )
