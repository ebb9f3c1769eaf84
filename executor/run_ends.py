"""The end of a run that was queued: told in its row and by an audit row of its own.

The request that queued it has its row already; the end comes later, from whoever saw it, and is
an act by itself. Both become durable together, and only the first story of an end does.
"""

from __future__ import annotations

import time
from typing import Any

from audit.recorder import AuditUnavailable
from executor.run_reader import StoredRun, stored_run
from executor.sql import statement
from executor.statements import END_RUN
from techno.database.current import store
from techno.database.errors import DuplicateKey
from techno.database.group_commit import Write
from techno.gate import begin, conclude
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, refuse

#: The method of acts that come from a worker, the keeper or the reaper.
METHOD = "WORKER"
OUTPUT_KEPT_BYTES = 16_777_216


def end_run(
    execution_id: str, verdict: Verdict, row: dict[str, Any], *, duration_ms: int = 0
) -> bool:
    """Close a run with ``row`` and tell it; ``False`` when its end has been told before.

    Raises ``AuditUnavailable`` when neither PostgreSQL nor the journal took it: try again.
    """
    facts = store_facts(execution_id)
    return tell_end(facts, execution_id, verdict, row, duration_ms=duration_ms)


def store_facts(execution_id: str) -> tuple[Any, ...]:
    """Return what the end's audit row says of the request. Raises ``StoreUnavailable``."""
    found = store().reads.row(statement("end_facts"), [execution_id])
    if found is None:
        raise LookupError(execution_id)
    return found


def tell_end(
    facts: tuple[Any, ...],
    execution_id: str,
    verdict: Verdict,
    row: dict[str, Any],
    *,
    duration_ms: int = 0,
) -> bool:
    """Like :func:`end_run`, with facts that were read before: it needs no database to begin."""
    trace_id, action, kind, label, key_prefix, session_id, user_ip, queue = facts
    governed = begin(method=METHOD, path=f"queue {queue}", client_address=user_ip)
    governed.principal = Principal(PrincipalKind(kind), key_prefix or label, label)
    governed.action = action
    governed.session_id = session_id
    governed.execution_id = execution_id
    governed.detail.update({"request_trace": trace_id, "run_ms": duration_ms})
    governed.also.append(Write(END_RUN, row | {"end_trace_id": governed.trace.trace_id}))
    try:
        conclude(governed, verdict, http_status=200)
    except AuditUnavailable as error:
        if isinstance(error.__cause__, DuplicateKey):
            return False
        raise
    return True


def end_unstarted(execution_id: str, verdict: Verdict, detail: str) -> bool:
    """Close a run that never started. The caller made sure that nobody can start it."""
    now = iso_ms(int(time.time() * 1000))
    return end_run(execution_id, verdict, bare_row(execution_id, verdict, detail, now))


def end_cancelled_before_start(execution_id: str) -> bool:
    """Close a run that still waits although it was cancelled: nobody starts it any more."""
    run = stored_run(execution_id)
    if run.state not in ("queued", "waiting") or run.cancel_requested_at is None:
        return False
    return end_unstarted(execution_id, refuse(ReasonCode.E8_CANCELLED), before_start(run))


def before_start(run: StoredRun) -> str:
    """Say who stopped a run that had not begun, and why."""
    reason = f" ({run.cancel_reason})" if run.cancel_reason else ""
    return f"stopped by {run.cancel_requested_by or 'somebody'}{reason} before its start"


def bare_row(execution_id: str, verdict: Verdict, detail: str, now: str) -> dict[str, Any]:
    """Return the closing row of a run of which nothing but its end is known."""
    return {
        "execution_id": execution_id,
        "status": verdict.status.value,
        "reason_codes": verdict.codes,
        "started_at": None,
        "ended_at": now,
        "duration_ms": None,
        "exit_code": None,
        "signal": None,
        "stdout": "",
        "stderr": "",
        "output_bytes": 0,
        "truncated": False,
        "detail": detail,
    }


def kept_output(execution_id: str) -> dict[str, Any]:
    """Return the fields of a closing row that hold what a lost run had printed."""
    texts = {"stdout": bytearray(), "stderr": bytearray()}
    rows = store().reads.rows(
        statement("kept_output"), {"run": execution_id, "most": OUTPUT_KEPT_BYTES}
    )
    for stream, data in rows:
        texts[stream] += data
    return {
        "output_bytes": sum(map(len, texts.values())),
        **{
            stream: bytes(text).decode("utf-8", "replace").replace("\0", "\ufffd")
            for stream, text in texts.items()
        },
    }
