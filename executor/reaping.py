"""Closing the runs whose watcher died: nothing stays "running" when nothing runs."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from audit import recorder, spill
from audit.journal import ReplayBusy
from executor import engine, procfs
from executor.run_directory import remove_directory
from executor.run_ends import bare_row, end_run, kept_output
from executor.spawn import EXECUTION_ID_VARIABLE
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

#: A watcher that was silent for so long after we first found it silent is taken for dead. With
#: the 15 s after which silence is noticed, a lost run is found within 30 s.
SILENT_FOR_S = 11.0
RUN_PREFIX = "run_"


@dataclass(frozen=True, slots=True)
class Reaped:
    """One run that was found lost: what it was, and which of its processes had to be ended."""

    execution_id: str
    ended_pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A run without an end, as its row has it, and what speaks against its watcher."""

    execution_id: str
    trace_id: str
    action: str
    kind: str
    label: str
    key_prefix: str
    session_id: str
    user_ip: str
    requested_at: datetime
    host: str
    worker: str
    queue: str
    state: str
    overdue: bool
    heartbeat: str | None
    silent: bool


#: The last heartbeat of each silent run, and when this process first saw it to be the last. A
#: server that hung makes all its watchers look silent for a moment; they get time to speak.
_silent_since: dict[str, tuple[str, float]] = {}


def reap_lost_runs() -> list[Reaped]:
    """Find, end and close lost runs; return them. Safe to call from several places at once.

    A run of this host is lost when its watching process is gone. A run of any host is lost when
    its watcher has been silent (which takes two calls some time apart to say), or when it is far
    past its time limit, which no living watcher would allow. Raises ``StoreUnavailable``.
    """
    # What a run's watcher could tell only to the journal comes first: it knows the true end.
    with suppress(ReplayBusy):
        spill.replay()
    suspects = [_Suspect(*row) for row in store().reads.rows(statement("lost_runs"))]
    for execution_id in _silent_since.keys() - {one.execution_id for one in suspects}:
        del _silent_since[execution_id]
    reaped: list[Reaped] = []
    for run in suspects:
        here = run.host == HOST
        lost = run.overdue or (here and not is_alive(run.worker)) or _stays_silent(run)
        if not lost:
            continue
        ended = engine.end_marked(run.execution_id) if here else ()
        if here:
            remove_directory(run.execution_id)
        _close(run, ended)
        reaped.append(Reaped(run.execution_id, tuple(ended)))
        log.warning("closed a lost run", execution_id=run.execution_id, ended_pids=list(ended))
    return reaped


def _stays_silent(run: _Suspect) -> bool:
    """Whether a watcher that looked silent before has still not spoken."""
    if not run.silent or run.heartbeat is None:
        _silent_since.pop(run.execution_id, None)
        return False
    heartbeat, since_s = _silent_since.get(run.execution_id, ("", 0.0))
    if heartbeat != run.heartbeat:
        _silent_since[run.execution_id] = (run.heartbeat, time.monotonic())
        return False
    return time.monotonic() - since_s >= SILENT_FOR_S


def _close(run: _Suspect, ended: tuple[int, ...]) -> None:
    """Close one lost run, with what it had printed, and with the audit row that is missing."""
    verdict = refuse(ReasonCode.E9_INTERRUPTED)
    now_ms = int(time.time() * 1000)
    processes = f"; ended {len(ended)} left-over processes" if ended else ""
    detail = f"the process that watched the run died{processes}"
    row = bare_row(run.execution_id, verdict, detail, iso_ms(now_ms))
    if run.queue:  # its request has a row of its own since long
        end_run(run.execution_id, verdict, row | kept_output(run.execution_id))
        return
    close = Write(CLOSE_RUN, row)
    requested_ms = int(run.requested_at.timestamp() * 1000)
    entry = recorder.Entry(
        trace=Trace(
            trace_id=run.trace_id,
            arrived_ms=requested_ms,
            arrived_monotonic_s=0.0,
            client_address=run.user_ip,
            session_id=run.session_id,
        ),
        verdict=verdict,
        action=run.action,
        duration_ms=max(0, now_ms - requested_ms),
        principal=Principal(PrincipalKind(run.kind), run.key_prefix, run.label),
        execution_id=run.execution_id,
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


def end_strays() -> list[Reaped]:
    """End what is left on this host of runs that were closed elsewhere; return the runs.

    A worker that died with its supervisor leaves its programs to nobody, and its runs may have
    been declared lost by another host since. Reads all of /proc. Raises ``StoreUnavailable``.
    """
    markers = {
        marker
        for pid in procfs.list_pids()
        if (marker := procfs.read_environment_value(pid, EXECUTION_ID_VARIABLE))
        and marker.startswith(RUN_PREFIX)
    }
    if not markers:
        return []
    rows = store().reads.rows(statement("ended_runs_of"), [sorted(markers), HOST])
    return [Reaped(marker, engine.end_marked(marker)) for (marker,) in rows]
