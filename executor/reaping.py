"""Closing the runs whose watcher died: nothing stays "running" when nothing runs."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from audit import recorder, spill
from audit.journal import ReplayBusy
from executor import engine
from executor.sql import statement
from executor.statements import CLOSE_RUN
from executor.worker_identity import HOST, is_alive
from techno.database.current import store
from techno.database.errors import DuplicateKey
from techno.database.group_commit import Write
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import Trace, iso_ms
from techno.governance.verdict import refuse

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reaped:
    """One run that was found lost: what it was, and which of its processes had to be ended."""

    execution_id: str
    ended_pids: tuple[int, ...]


def reap_lost_runs() -> list[Reaped]:
    """Find, end and close lost runs; return them. Safe to call from several places at once.

    A run of this host is lost when its watching process is gone. A run of any host is lost when
    it is far past its time limit, which no living watcher would allow. Raises
    ``StoreUnavailable``.
    """
    # What a run's watcher could tell only to the journal comes first: it knows the true end.
    with suppress(ReplayBusy):
        spill.replay()
    reaped: list[Reaped] = []
    for row in store().reads.rows(statement("lost_runs")):
        execution_id, host, worker, overdue = row[0], row[9], row[10], row[11]
        here = host == HOST
        if not overdue and not (here and not is_alive(worker)):
            continue
        ended = engine.end_marked(execution_id) if here else ()
        _close(row, ended)
        reaped.append(Reaped(execution_id, tuple(ended)))
        log.warning("closed a lost run", execution_id=execution_id, ended_pids=list(ended))
    return reaped


def _close(row: tuple[Any, ...], ended: tuple[int, ...]) -> None:
    """Close one lost run, with the audit row that its request never got."""
    execution_id, trace_id, action, kind, label, key_prefix, session_id, user_ip, requested = row[
        :9
    ]
    verdict = refuse(ReasonCode.E9_INTERRUPTED)
    now_ms = int(time.time() * 1000)
    processes = f"; ended {len(ended)} left-over processes" if ended else ""
    close = Write(
        CLOSE_RUN,
        {
            "execution_id": execution_id,
            "status": verdict.status.value,
            "reason_codes": verdict.codes,
            "started_at": None,
            "ended_at": iso_ms(now_ms),
            "duration_ms": None,
            "exit_code": None,
            "signal": None,
            "stdout": "",
            "stderr": "",
            "output_bytes": 0,
            "truncated": False,
            "detail": f"the process that watched the run died{processes}",
        },
    )
    requested_ms = int(requested.timestamp() * 1000)
    entry = recorder.Entry(
        trace=Trace(
            trace_id=trace_id,
            arrived_ms=requested_ms,
            arrived_monotonic_s=0.0,
            client_address=user_ip,
            session_id=session_id,
        ),
        verdict=verdict,
        action=action,
        duration_ms=max(0, now_ms - requested_ms),
        principal=Principal(PrincipalKind(kind), key_prefix, label),
        execution_id=execution_id,
        detail={"closed_by": "reaper"},
    )
    try:
        recorder.record(entry, close)
    except recorder.AuditUnavailable as error:
        # A row that exists already means that the request got its answer, or that another
        # reaper was faster; the run is closed all the same. Anything else is passed on: the run
        # stays as it is and is found again.
        if not isinstance(error.__cause__, DuplicateKey):
            raise
        store().writes.commit(close)
