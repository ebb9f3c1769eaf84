"""Runs that somebody else starts: queued for a worker, and waited for where the caller wants.

The queue (procrastinate's, in the same PostgreSQL) only brings the news. Whether a run starts is
decided by one conditional change of its row, so that a job that comes twice, or comes late,
starts nothing twice. See ``docs/executor-fleet.md``.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from django.conf import settings
from django.utils.translation import gettext_noop

from executor.decision import Decision
from executor.ending import KILL_WAIT_S, TERM_GRACE_S
from executor.local_run import execution_id_of, intent_row
from executor.ran import Ran
from executor.requests import RunRequest
from executor.run_ends import end_cancelled_before_start
from executor.run_reader import StoredRun, stored_run
from executor.sealed import seal_decision
from executor.sql import statement
from executor.statements import QUEUE_RUN, REMEMBER, REQUEST_CANCEL
from techno.database.current import store
from techno.database.group_commit import Write
from techno.gate import Governed
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, refuse

TASK = "executor.run"
DEFAULT_QUEUE = "default"
LOOK_EVERY_S = 0.04
#: What stopping a run on another host may take before its caller is told that it timed out.
STOPPING_S = TERM_GRACE_S + KILL_WAIT_S + 0.3

QUEUED = refuse(ReasonCode.E1_QUEUED)
FULL = refuse(
    ReasonCode.G12_TIMEOUT, message=gettext_noop("Too many of these run or wait already.")
)
TIMED_OUT = refuse(ReasonCode.E12_TIMEOUT)


def is_asynchronous(decision: Decision, request: RunRequest) -> bool:
    """Whether the caller is answered before the end."""
    return decision.action.is_async or request.respond_async


def queued_row(governed: Governed, decision: Decision, request: RunRequest) -> dict[str, Any]:
    """Return the row of a run that waits for a worker: its intent, and sealed what it needs."""
    execution_id = execution_id_of(governed)
    row = intent_row(governed, decision, execution_id)
    return row | {
        "argv": list(decision.shown_argv),
        "parameters": dict(decision.parameters),
        "queue": decision.action.queue or DEFAULT_QUEUE,
        "host": "",
        "worker": "",
        "idempotency_key": request.idempotency_key or None,
        "sealed": seal_decision(decision, execution_id),
    }


def queue_run(
    governed: Governed, decision: Decision, request: RunRequest, remembered: dict[str, Any] | None
) -> Ran:
    """Queue a run for a worker; the caller is answered before its end.

    Run, job and audit row become durable together, unless the run has to be let in first.
    ``remembered`` is what makes the request repeatable; it stands exactly if the run does.
    Raises ``StoreUnavailable`` and, when a request of the same name came first, ``DuplicateKey``.
    """
    row = queued_row(governed, decision, request)
    if remembered is not None:  # its verdict is known already
        remembered = remembered | told_verdict(QUEUED)
    if is_limited(decision):
        if not enter_queue(row, decision, remembered):
            return Ran(FULL)
    elif remembered is None:
        governed.also.append(Write(QUEUE_RUN, row))
    else:
        store().writes.commit(Write(QUEUE_RUN, row), Write(REMEMBER, remembered))
    governed.execution_id = row["execution_id"]
    return Ran(QUEUED)


def run_elsewhere(
    governed: Governed, decision: Decision, request: RunRequest, remembered: dict[str, Any] | None
) -> Ran:
    """Queue a run for the hosts of its queue, and wait for its end until the deadline.

    Raises as :func:`queue_run` does.
    """
    row = queued_row(governed, decision, request)
    if is_limited(decision):
        if not enter_queue(row, decision, remembered):
            return Ran(FULL)
    elif remembered is None:
        store().writes.commit(Write(QUEUE_RUN, row))
    else:
        store().writes.commit(Write(QUEUE_RUN, row), Write(REMEMBER, remembered))
    governed.execution_id = row["execution_id"]
    return _wait_for_end(governed, row["execution_id"])


def told_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as the fields of a remembered answer."""
    return {
        "status": verdict.status.value,
        "reason_codes": verdict.codes,
        "http_status": verdict.http_status,
        "message": verdict.message,
    }


def is_limited(decision: Decision) -> bool:
    """Whether PostgreSQL keeps count of this action's runs."""
    action = decision.action
    return bool(action.max_running or action.max_queued or settings.RUNS_MOST)


def enter_queue(row: dict[str, Any], decision: Decision, remembered: dict[str, Any] | None) -> bool:
    """Let the run of a limited action wait for its turn; ``False`` when it may not even wait.

    Raises ``StoreUnavailable`` and ``DuplicateKey``.
    """
    action = decision.action
    found = store().reads.row(
        statement("enter_queue"),
        [
            orjson.dumps(row).decode(),
            None if remembered is None else orjson.dumps(remembered).decode(),
            action.max_running,
            action.max_queued,
            action.when_full == "refuse",
            settings.RUNS_MOST,
        ],
    )
    return found == ("queued",)


def _wait_for_end(governed: Governed, execution_id: str) -> Ran:
    """Return what became of a run elsewhere; stop it when the caller's window closes."""
    window_s = settings.ANSWER_DEADLINE_S - STOPPING_S
    run = wait_until_ended(execution_id, window_s - governed.elapsed_s())
    if run.is_ended:
        return Ran(run.verdict, run.result)
    wish = {
        "execution_id": execution_id,
        "at": iso_ms(int(time.time() * 1000)),
        "by": "the request that waited for it",
        "reason": "its answer was due",
    }
    store().writes.commit(Write(REQUEST_CANCEL, wish))
    end_cancelled_before_start(execution_id)
    run = wait_until_ended(execution_id, settings.ANSWER_DEADLINE_S - 0.2 - governed.elapsed_s())
    return Ran(TIMED_OUT, run.result)


def wait_until_ended(execution_id: str, seconds: float) -> StoredRun:
    """Return the run as soon as it has ended, or as it is after ``seconds``."""
    ends_at_s = time.monotonic() + seconds
    while True:
        run = stored_run(execution_id)
        left_s = ends_at_s - time.monotonic()
        if run.is_ended or left_s <= 0:
            return run
        time.sleep(min(LOOK_EVERY_S, left_s))
