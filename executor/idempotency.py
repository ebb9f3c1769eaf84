"""Requests that may be repeated: the same name and body give the first verdict again.

Nothing is reserved beforehand. What makes a request repeatable is written together with the
run's intent (or, when nothing is to run, with the verdict), and the key of that row lets one of
any number of equal requests through: whoever comes second is refused by PostgreSQL before it
could start anything, and answers with what became of the first. So a crash leaves either
nothing, and the repetition is the first, or a run, whose end (``E9_interrupted`` at worst) is
what every repetition is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from executor.fleet import told_verdict, wait_until_ended
from executor.local_run import execution_id_of
from executor.ran import Ran
from executor.requests import RunRequest
from executor.run_reader import NoSuchRun, StoredRun, stored_run
from executor.slots import NoSlot, slots
from executor.sql import statement
from executor.statements import REMEMBER
from techno.database.current import store
from techno.database.errors import DuplicateKey, StoreUnavailable
from techno.database.group_commit import Write
from techno.gate import Governed
from techno.governance.principal import Principal
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, checked, refuse

ANSWERS_KEPT_S = 24 * 3600
#: What an answer needs after it is known.
ANSWERING_S = 0.3
CONSTRAINT = "executor_idempotency_pkey"

CONFLICT = refuse(ReasonCode.G18_IDEMPOTENCY_CONFLICT)


@dataclass(frozen=True, slots=True)
class _First:
    """The first request of a name."""

    fingerprint: str
    trace_id: str
    execution_id: str | None
    verdict: Verdict
    is_told: bool


def answered_once(
    governed: Governed, request: RunRequest, act: Callable[[dict[str, Any] | None], Ran]
) -> Ran:
    """Return what ``act`` makes of the request, or what the first of its name was answered.

    ``act`` is given the row that makes the request repeatable, to be committed with the intent
    of a run, and ``None`` for requests without a name.
    """
    if not request.idempotency_key or request.dry_run:
        return act(None)
    caller = caller_of(governed.principal)
    while True:
        first = _find(caller, request.idempotency_key)
        if first is not None:
            return _again(governed, request, first)
        try:
            ran = act(_row(governed, request, execution_id_of(governed)))
            _remember_verdict(governed, request, ran.verdict)
            return ran
        except DuplicateKey as error:
            if error.constraint != CONSTRAINT:
                raise
            # An equal request was faster: it is the first, and nothing of ours may stand.
            governed.execution_id, governed.also = None, []


def caller_of(principal: Principal) -> str:
    """Return what tells callers apart: the same name means nothing between two of them."""
    return f"{principal.kind.value}:{principal.identity}"


def _row(governed: Governed, request: RunRequest, execution_id: str | None) -> dict[str, Any]:
    """Return the row for a request whose verdict is told by its run."""
    return {
        "caller": caller_of(governed.principal),
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "trace_id": governed.trace.trace_id,
        "execution_id": execution_id,
        "status": "",
        "reason_codes": [],
        "http_status": 200,
        "message": "",
        "at": iso_ms(int(time.time() * 1000)),
    }


def _remember_verdict(governed: Governed, request: RunRequest, verdict: Verdict) -> None:
    """Make a governed decision repeatable that was not remembered together with a run."""
    if verdict.http_status >= 400:
        return
    if _find(caller_of(governed.principal), request.idempotency_key) is None:
        row = _row(governed, request, governed.execution_id)
        store().writes.commit(Write(REMEMBER, row | told_verdict(verdict)))


def _find(caller: str, key: str) -> _First | None:
    """Return the first request of this name, after forgetting one that is too old to count."""
    row = store().reads.row(statement("first_answer"), [ANSWERS_KEPT_S, caller, key])
    if row is None:
        return None
    fingerprint, trace_id, execution_id, status, codes, http_status, message, is_old = row
    if is_old:
        store().reads.rows(statement("forget_answer"), [caller, key, trace_id])
        return None
    verdict = checked(status, codes, http_status, message)
    return _First(fingerprint, trace_id, execution_id, verdict, is_told=bool(status))


def _again(governed: Governed, request: RunRequest, first: _First) -> Ran:
    """Answer as the first was answered; wait for its run as long as the caller's window is."""
    governed.detail["replayed_from"] = first.trace_id
    if first.fingerprint != request.fingerprint:
        return Ran(CONFLICT)
    governed.execution_id = first.execution_id
    if first.execution_id is None or first.is_told:
        return Ran(first.verdict, replayed=True)
    try:
        run = _awaited(governed, first.execution_id)
    except NoSuchRun as error:  # they were committed together
        raise StoreUnavailable("the first request's run is not there") from error
    return Ran(run.verdict, run.result, replayed=True)


def _awaited(governed: Governed, execution_id: str) -> StoredRun:
    """Return the run once it has ended, or as it is when the window closes.

    Who waits holds a thread, as a run does; where all are held, the answer is what is so now.
    """
    run = stored_run(execution_id)
    if run.is_ended:
        return run
    try:
        with slots().hold(wait_s=0):
            window_s = settings.ANSWER_DEADLINE_S - ANSWERING_S - governed.elapsed_s()
            return wait_until_ended(execution_id, window_s)
    except NoSlot:
        return run
