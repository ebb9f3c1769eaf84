"""A run on this host, in this process: recorded as an intent, executed, and closed.

The closing write is left on the governed act, so that the run's end and the audit row become
durable in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from executor import engine
from executor.decision import Decision
from executor.ending import KILL_WAIT_S, TERM_GRACE_S
from executor.outcome import verdict_of
from executor.program import perform
from executor.ran import Ran
from executor.run_ends import bare_row
from executor.statements import CLOSE_RUN, OPEN_RUN, REMEMBER
from executor.watching import Watch, watching
from executor.worker_identity import HOST, this_worker
from techno.database.current import store
from techno.database.errors import StoreUnavailable, ValueMissing
from techno.database.group_commit import Write
from techno.gate import Governed, unavailable
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict

#: What ending a process tree may take of the caller's window. The engine bounds it: this is what
#: is left when a tree ignores TERM, is slow to die, and holds its pipes.
ENDING_S = TERM_GRACE_S + KILL_WAIT_S + engine.DRAIN_S

#: Told after each run its status and how many seconds it took (the metrics listen here).
RUN_OBSERVERS: list[Callable[[str, float], None]] = []


class ActionChanged(Exception):
    """The action is no longer what the run was decided on. Nothing was recorded, nothing ran."""


def execution_id_of(governed: Governed) -> str:
    """Return the identity of the run that a governed act starts."""
    return "run_" + governed.trace.trace_id.replace("-", "")


def run_here(
    governed: Governed,
    decision: Decision,
    idempotency_key: str = "",
    remembered: dict[str, Any] | None = None,
) -> Ran:
    """Record the intent, run the process, and leave the closing write with the audit row.

    ``remembered`` makes the request repeatable; it stands exactly if the intent does. Returns in
    time for the answer to leave within ``ANSWER_DEADLINE_S`` of the request's arrival. Raises
    ``StoreUnavailable`` when the intent cannot be recorded, ``ActionChanged`` when ``decision``
    is out of date, ``DuplicateKey`` when an equal request came first: nothing ran then.
    """
    execution_id = execution_id_of(governed)
    row = intent_row(governed, decision, execution_id, idempotency_key)
    row["seen"] = decision.seen
    writes = [Write(OPEN_RUN, row)]
    if remembered is not None:
        writes.append(Write(REMEMBER, remembered))
    try:
        store().writes.commit(*writes)
    except ValueMissing as error:
        if error.column != "action":
            raise
        raise ActionChanged(decision.action.name) from error
    except StoreUnavailable:
        # It may stand all the same: a frozen server goes on where it was. Then it is closed, when
        # the row of this refusal is written.
        ended_at = iso_ms(int(time.time() * 1000))
        unsaid = bare_row(execution_id, unavailable(), "its intent was not acknowledged", ended_at)
        governed.also.append(Write(CLOSE_RUN, unsaid))
        raise
    governed.execution_id = execution_id
    with watching.over(execution_id) as watch:
        return run_opened(governed, decision, watch)


def run_opened(governed: Governed, decision: Decision, watch: Watch) -> Ran:
    """Run what has its intent, within the caller's window, and leave the closing write."""
    execution_id = watch.execution_id
    ends_at_s = governed.trace.arrived_monotonic_s + settings.ANSWER_DEADLINE_S - ENDING_S
    result = perform(decision, execution_id, watch, deadline=ends_at_s)
    verdict = verdict_of(result)
    governed.also.append(Write(CLOSE_RUN, closing_row(execution_id, verdict, result, watch.told)))
    tell_observers(verdict, result)
    return Ran(verdict, result)


def tell_observers(verdict: Verdict, result: engine.Result) -> None:
    """Tell whoever counts runs about one that is over."""
    for observer in RUN_OBSERVERS:
        observer(verdict.status.value, result.duration_ms / 1000)


def intent_row(
    governed: Governed, decision: Decision, execution_id: str, idempotency_key: str = ""
) -> dict[str, Any]:
    """Return the row that says what is about to be started, by whom, and who watches it."""
    principal, trace, action = governed.principal, governed.trace, decision.action
    return {
        "execution_id": execution_id,
        "trace_id": trace.trace_id,
        "action": action.name,
        "version": action.version,
        "argv": decision.shown_argv,
        "parameters": decision.parameters,
        "principal_kind": principal.kind.value,
        "principal_label": principal.label,
        "key_prefix": principal.key_prefix,
        "session_id": governed.session_id,
        "user_ip": trace.client_address,
        "timeout_s": action.timeout_s,
        "requested_at": trace.timestamp,
        "host": HOST,
        "worker": this_worker(),
        "idempotency_key": idempotency_key or None,
    }


def closing_row(
    execution_id: str, verdict: Verdict, result: engine.Result, told: str = ""
) -> dict[str, Any]:
    """Return the row that closes a run; ``told`` says who made it end.

    PostgreSQL's text cannot hold NUL; it is replaced.
    """
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
        "detail": "; ".join(part for part in (told, result.detail) if part),
    }
