"""A run's life, as one list of steps: each is a function of the module that owns it."""

from __future__ import annotations

from typing import Any, TypedDict

from django.conf import settings

from executor.approvals import needs_approval, request_approval
from executor.decision import Decision, decide
from executor.dry_run import look_ahead
from executor.fleet import is_asynchronous, is_limited, queue_run, run_elsewhere
from executor.idempotency import answered_once
from executor.local_run import ENDING_S, ActionChanged, run_here
from executor.ran import Ran
from executor.registry import remembered_action
from executor.requests import RunRequest
from executor.slots import NoSlot, slots
from executor.sql import statement
from executor.turns import run_in_turn
from techno.database.current import store
from techno.gate import Governed
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import Verdict, refuse

#: With less time than this left, starting a command makes no sense.
LEAST_RUN_S = 0.2


def execute(governed: Governed, request: RunRequest) -> Ran:
    """Decide about a request to run, and run what is allowed, to its end.

    Returns in time for the answer to leave within ``ANSWER_DEADLINE_S`` of the request's
    arrival. Raises ``StoreUnavailable`` when the intent cannot be recorded: nothing ran then.
    """
    governed.action = request.command
    return answered_once(governed, request, lambda remembered: _act(governed, request, remembered))


def _act(governed: Governed, request: RunRequest, remembered: dict[str, Any] | None) -> Ran:
    """Do what was asked; ``remembered`` is to be committed together with a run's intent.

    A run that starts here at once is decided on what this process saw of its action last: the
    intent is refused if that is not so any more, which saves to ask before. All else is decided
    on what the action says now.
    """
    decision = decide(governed, request, see=remembered_action)
    if isinstance(decision, Verdict) or not _starts_here(decision, request):
        decision = decide(governed, request)
    while True:
        try:
            return _act_upon(governed, decision, request, remembered)
        except ActionChanged:
            decision = decide(governed, request)


def _starts_here(decision: Decision, request: RunRequest) -> bool:
    """Whether the next that is written of this request is the intent of a run of this process."""
    return not (
        request.dry_run
        or needs_approval(decision)
        or is_asynchronous(decision, request)
        or decision.action.queue
        or is_limited(decision)
    )


def _act_upon(
    governed: Governed,
    decision: Decision | Verdict,
    request: RunRequest,
    remembered: dict[str, Any] | None,
) -> Ran:
    """Do what was decided. Raises ``ActionChanged``: nothing was done, it is to be decided anew."""
    if isinstance(decision, Verdict):
        return Ran(decision)
    if request.dry_run:
        return look_ahead(governed, decision)
    if needs_approval(decision):
        return request_approval(governed, decision, request, remembered)
    if is_asynchronous(decision, request):
        return queue_run(governed, decision, request, remembered)
    return _run_in_slot(governed, decision, request, remembered)


def _run_in_slot(
    governed: Governed, decision: Decision, request: RunRequest, remembered: dict[str, Any] | None
) -> Ran:
    """Run as soon as there is a slot, and not at all when there is none in time.

    Waiting for a run elsewhere takes a slot as well: it holds a thread just the same.
    """
    window_s = settings.ANSWER_DEADLINE_S - ENDING_S - governed.elapsed_s()
    try:
        with slots().hold(wait_s=window_s - LEAST_RUN_S):
            if decision.action.queue:
                return run_elsewhere(governed, decision, request, remembered)
            if is_limited(decision):
                ends_in_s = settings.ANSWER_DEADLINE_S - ENDING_S - LEAST_RUN_S
                return run_in_turn(governed, decision, request, remembered, ends_in_s)
            return run_here(governed, decision, request.idempotency_key, remembered)
    except NoSlot:
        return Ran(refuse(ReasonCode.G12_TIMEOUT))


class LastRun(TypedDict):
    """The snapshot of a key's newest run; every field is ``None`` when there was none."""

    command: str | None
    output: str | None
    timestamp: str | None
    status: str | None
    execution_id: str | None


def last_run(key_prefix: str) -> LastRun:
    """Return the newest run that the key ``key_prefix`` asked for. Raises ``StoreUnavailable``."""
    row = store().shared_reads.row(statement("last_run"), key_prefix) or (None,) * 5
    return {
        "command": row[0],
        "output": row[1],
        "timestamp": row[2],
        "status": row[3],
        "execution_id": row[4],
    }
