"""A run's life: decided, recorded as an intent, executed, and closed with its audit row.

:func:`execute` does the first three and leaves the closing write on the governed act, so that
the run's end and the audit row become durable in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypedDict

from django.conf import settings

from executor import engine
from executor.ending import KILL_WAIT_S, TERM_GRACE_S
from executor.outcome import verdict_of
from executor.registry import RegisteredAction, find_action
from executor.slots import NoSlot, Slots
from executor.sql import statement
from executor.statements import CLOSE_RUN, OPEN_RUN
from executor.worker_identity import HOST, this_worker
from techno.database.current import store
from techno.database.group_commit import Write
from techno.gate import Governed, decide_action
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, refuse

#: What ending a process tree may take of the caller's window. The engine bounds it: this is what
#: is left when a tree ignores TERM, is slow to die, and holds its pipes.
ENDING_S = TERM_GRACE_S + KILL_WAIT_S + engine.DRAIN_S
#: With less time than this left, starting a command makes no sense.
LEAST_RUN_S = 0.2


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a request to run: its verdict, and the result if anything was started."""

    verdict: Verdict
    result: engine.Result | None = None


@cache
def slots() -> Slots:
    """The slots of this process."""
    return Slots(running=settings.RUN_SLOTS, waiting=settings.RUN_WAITERS)


def execute(governed: Governed, command: str) -> Ran:
    """Run one registered action for ``governed`` and wait for its end.

    Returns in time for the answer to leave within ``ANSWER_DEADLINE_S`` of the request's
    arrival. Raises ``StoreUnavailable`` when the intent cannot be recorded: nothing ran then.
    """
    governed.action = command
    verdict = decide_action(governed.principal, command)
    if not verdict.approved:
        return Ran(verdict)
    action = find_action(command)
    if action is None:
        return Ran(refuse(ReasonCode.G8_UNKNOWN_ACTION, message=f"There is no action {command}."))
    if not action.enabled:
        return Ran(refuse(ReasonCode.G9_ACTION_DISABLED, message=f"{command} is disabled."))
    window_s = settings.ANSWER_DEADLINE_S - ENDING_S - governed.elapsed_s()
    try:
        with slots().hold(wait_s=window_s - LEAST_RUN_S):
            return _run(governed, action)
    except NoSlot:
        return Ran(refuse(ReasonCode.G12_TIMEOUT))


def _run(governed: Governed, action: RegisteredAction) -> Ran:
    """Record the intent, run the process, and leave the closing write with the audit row."""
    execution_id = "run_" + governed.trace.trace_id.replace("-", "")
    store().writes.commit(Write(OPEN_RUN, _intent(governed, action, execution_id)))
    governed.execution_id = execution_id
    ends_at_s = governed.trace.arrived_monotonic_s + settings.ANSWER_DEADLINE_S - ENDING_S
    result = engine.run(
        engine.Command(
            argv=action.argv,
            timeout_s=action.timeout_s,
            output_limit_bytes=action.output_limit_bytes,
            env=action.environment,
            cwd=action.working_directory or None,
            marker=execution_id,
        ),
        deadline=ends_at_s,
    )
    verdict = verdict_of(result)
    governed.also.append(Write(CLOSE_RUN, closing_row(execution_id, verdict, result)))
    for observer in RUN_OBSERVERS:
        observer(verdict.status.value, result.duration_ms / 1000)
    return Ran(verdict, result)


#: Told after each run its status and how many seconds it took (the metrics listen here).
RUN_OBSERVERS: list[Callable[[str, float], None]] = []


def _intent(governed: Governed, action: RegisteredAction, execution_id: str) -> dict[str, Any]:
    """Return the row that says what is about to be started, by whom, and who watches it."""
    principal, trace = governed.principal, governed.trace
    return {
        "execution_id": execution_id,
        "trace_id": trace.trace_id,
        "action": action.name,
        "argv": list(action.argv),
        "principal_kind": principal.kind.value,
        "principal_label": principal.label,
        "key_prefix": principal.key_prefix,
        "session_id": governed.session_id,
        "user_ip": trace.client_address,
        "timeout_s": action.timeout_s,
        "requested_at": trace.timestamp,
        "host": HOST,
        "worker": this_worker(),
    }


def closing_row(execution_id: str, verdict: Verdict, result: engine.Result) -> dict[str, Any]:
    """Return the row that closes a run. PostgreSQL's text cannot hold NUL; it is replaced."""
    started_ms = int(result.started_at * 1000)
    return {
        "execution_id": execution_id,
        "status": verdict.status.value,
        "reason_codes": verdict.codes,
        "started_at": iso_ms(started_ms),
        "ended_at": iso_ms(started_ms + result.duration_ms),
        "duration_ms": result.duration_ms,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "stdout": result.stdout.replace("\0", "\ufffd"),
        "stderr": result.stderr.replace("\0", "\ufffd"),
        "output_bytes": result.stdout_bytes + result.stderr_bytes,
        "truncated": result.truncated,
        "detail": result.detail,
    }


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
