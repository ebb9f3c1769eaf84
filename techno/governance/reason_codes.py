"""Every reason code there is: one member each, with its status, HTTP status, meaning and remedy.

``G…`` means that a gate said no before anything ran; ``E…`` tells what happened while running or
afterwards. Codes are stable for ever: a meaning never changes, new members may be added. The
table in ``docs/reason-codes.md`` is generated from this module (``manage.py reason_codes``).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from techno.governance.status import SEVERITY, Status


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What a reason code stands for.

    ``http_status`` is the answer's HTTP status when this code decides it; ``None`` leaves the
    HTTP status as it was (the code only adds information). ``status`` likewise.
    ``meaning`` is one sentence for whoever reads a trace; ``remedy`` is the operator's next step.
    """

    code: str
    status: Status | None
    http_status: int | None
    meaning: str
    remedy: str


class ReasonCode(enum.Enum):
    """The closed vocabulary. Its value is a :class:`CodeFacts`; ``str()`` gives the code."""

    G0_AUTH_NOT_CONFIGURED = CodeFacts(
        "G0_auth_not_configured",
        Status.BLOCKED,
        401,
        "No valid API key came with the request, or the service has none configured.",
        "Send a live key in X-API-Key; issue one under API keys if there is none.",
    )
    G2_SCOPE_DENIED = CodeFacts(
        "G2_scope_denied",
        Status.BLOCKED,
        403,
        "The key is valid but was not issued for this endpoint or action.",
        "Compare the key's scopes and allowed actions with the request; issue another key.",
    )
    G3_ADDRESS_DENIED = CodeFacts(
        "G3_address_denied",
        Status.BLOCKED,
        403,
        "The key is valid but not from this network address.",
        "Compare the trace's address with the key's allowed networks and the trusted proxies.",
    )
    G7_PAYLOAD_LIMIT = CodeFacts(
        "G7_payload_limit",
        Status.BLOCKED,
        413,
        "The request body is larger than the service accepts.",
        "Send less, or raise TECHNO_BODY_LIMIT_BYTES if such bodies are legitimate.",
    )
    G8_UNKNOWN_ACTION = CodeFacts(
        "G8_unknown_action",
        Status.BLOCKED,
        200,
        "No action, endpoint or method of that name is registered.",
        "Check the spelling; load or create the action if it should exist.",
    )
    G9_ACTION_DISABLED = CodeFacts(
        "G9_action_disabled",
        Status.BLOCKED,
        200,
        "The action is registered but switched off.",
        "Enable the action in the portal when it may run again.",
    )
    G10_BODY_PARSE_ERROR = CodeFacts(
        "G10_body_parse_error",
        Status.BLOCKED,
        400,
        "The request body could not be read as a JSON document.",
        "Send UTF-8 JSON with Content-Type application/json and an honest Content-Length.",
    )
    G11_INVALID_PAYLOAD = CodeFacts(
        "G11_invalid_payload",
        Status.BLOCKED,
        400,
        "The request was readable but a field or query value breaks a rule.",
        "The message names the field and its rule; correct the caller.",
    )
    G12_TIMEOUT = CodeFacts(
        "G12_timeout",
        Status.BLOCKED,
        200,
        "No slot to run the command became free in time.",
        "Look for runs that hold the slots; try again, or raise the limit of concurrent runs.",
    )
    G13_RATE_LIMITED = CodeFacts(
        "G13_rate_limited",
        Status.BLOCKED,
        429,
        "The caller sent more requests than its rate allows.",
        "Wait for Retry-After; raise the key's rate if the load is legitimate.",
    )
    G14_APPROVAL_REQUIRED = CodeFacts(
        "G14_approval_required",
        Status.NEUTRAL,
        202,
        "The run waits until enough people have approved it.",
        "An approver decides it under Approvals.",
    )
    G15_APPROVAL_DENIED = CodeFacts(
        "G15_approval_denied",
        Status.BLOCKED,
        200,
        "An approver refused the run.",
        "Read the approver's reason; ask again if circumstances changed.",
    )
    G16_APPROVAL_EXPIRED = CodeFacts(
        "G16_approval_expired",
        Status.EXPIRED,
        200,
        "Nobody decided about the run before its approval lapsed.",
        "Request the run again and make sure that an approver is at hand.",
    )
    G17_AUDIT_UNAVAILABLE = CodeFacts(
        "G17_audit_unavailable",
        Status.BLOCKED,
        503,
        "The audit store could not take the row, so nothing was done.",
        "Restore PostgreSQL; the service's log names the cause.",
    )
    G18_IDEMPOTENCY_CONFLICT = CodeFacts(
        "G18_idempotency_conflict",
        Status.BLOCKED,
        409,
        "The idempotency key was used before for a different request.",
        "Use a fresh Idempotency-Key for a different request.",
    )
    E0_NONZERO_EXIT = CodeFacts(
        "E0_nonzero_exit",
        Status.WARNING,
        200,
        "The command ran and ended with an exit code other than zero.",
        "Read the run's output; what the exit code means is the program's own convention.",
    )
    E1_QUEUED = CodeFacts(
        "E1_queued",
        Status.NEUTRAL,
        202,
        "The run is recorded and waits for a worker.",
        "Ask again at the run's address; look at the workers if it stays queued.",
    )
    E2_RUNNING = CodeFacts(
        "E2_running",
        Status.NEUTRAL,
        202,
        "The run has started and has not ended yet.",
        "Ask again at the run's address, or cancel it there.",
    )
    E5_INTERNAL_ERROR = CodeFacts(
        "E5_internal_error",
        Status.BLOCKED,
        500,
        "The service failed in a way that it did not foresee.",
        "Find this trace id in the service's log; the log holds the cause.",
    )
    E6_SPAWN_FAILED = CodeFacts(
        "E6_spawn_failed",
        Status.BLOCKED,
        200,
        "The command's program could not be started.",
        "The run's detail names the cause: usually a missing program or permission on this host.",
    )
    E7_OUTPUT_TRUNCATED = CodeFacts(
        "E7_output_truncated",
        None,
        None,
        "The command printed more than its output limit; the rest was dropped.",
        "Raise the action's output limit, or let the command print less.",
    )
    E8_CANCELLED = CodeFacts(
        "E8_cancelled",
        Status.BLOCKED,
        200,
        "An operator stopped the run.",
        "The run tells who stopped it and why.",
    )
    E9_INTERRUPTED = CodeFacts(
        "E9_interrupted",
        Status.BLOCKED,
        200,
        "The process that watched the run died, so how the run ended is not known.",
        "Check on the host what the command did before running it again; we never rerun it.",
    )
    E10_NOT_SEALED = CodeFacts(
        "E10_not_sealed",
        Status.NEUTRAL,
        202,
        "The row is recorded but not under a signed checkpoint yet.",
        "Ask again in some seconds; if it stays so, the audit keeper does not run or is refused.",
    )
    E12_TIMEOUT = CodeFacts(
        "E12_timeout",
        Status.BLOCKED,
        200,
        "The command ran past its time limit and was stopped.",
        "Raise the action's time limit (up to the caller's window), or make it asynchronous.",
    )
    E_UNKNOWN = CodeFacts(
        "E_unknown",
        Status.BLOCKED,
        None,
        "Something answered with a verdict or status that nobody defined.",
        "This is a defect of the service: report it with the trace id.",
    )

    def __str__(self) -> str:
        return self.value.code

    @property
    def code(self) -> str:
        """The code as the console sees it, for example ``G8_unknown_action``."""
        return self.value.code

    @classmethod
    def of(cls, text: object) -> ReasonCode:
        """Return the member whose code is ``text``; ``E_UNKNOWN`` for everything else."""
        return _BY_CODE.get(text, cls.E_UNKNOWN) if isinstance(text, str) else cls.E_UNKNOWN


_BY_CODE: dict[str, ReasonCode] = {member.value.code: member for member in ReasonCode}
if len(_BY_CODE) != len(ReasonCode):  # pragma: no cover - guards the table itself
    raise RuntimeError("two reason codes share one text")

#: Statuses of rows whose writer recorded codes but no status (another service's rows).
STATUS_OF_INFORMATIVE_CODE = Status.WARNING


def status_of_codes(codes: Iterable[object]) -> Status:
    """Derive a status from reason codes alone: the worst that any of them stands for.

    An empty list is ``APPROVED``: by contract every other status has a code to explain it. A code
    that is not in the registry is ``BLOCKED``.
    """
    worst = Status.APPROVED
    for text in codes:
        status = ReasonCode.of(text).value.status or STATUS_OF_INFORMATIVE_CODE
        if SEVERITY[status] > SEVERITY[worst]:
            worst = status
    return worst
