"""What a worker does with a job: start the run if it still waits, watch it, and tell its end.

Everything here stands on the run's row. A job that comes twice finds the run started, and does
nothing; a worker that dies leaves a running row without heartbeats, which is closed by whoever
finds it and is never started again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings

from audit.recorder import AuditUnavailable
from executor.approvals import object_to_start
from executor.decision import Decision
from executor.fleet import is_limited
from executor.local_run import closing_row, tell_observers
from executor.outcome import verdict_of
from executor.output_sink import OutputSink
from executor.program import perform
from executor.registry import find_action
from executor.run_ends import bare_row, store_facts, tell_end
from executor.sealed import unseal_decision
from executor.sealing import Unsealable
from executor.sql import statement
from executor.statements import START_RUN
from executor.watching import Watch, watching
from executor.worker_identity import HOST, this_worker
from techno.database.current import store
from techno.database.errors import StoreError
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, refuse

log = structlog.get_logger(__name__)
RETRY_S = 0.5
#: How long a worker tries to find out whether a run is its own, while PostgreSQL is away.
CLAIM_FOR_S = 60.0


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A run that this worker, and nobody else, is to start."""

    execution_id: str
    sealed: str
    facts: tuple[Any, ...]


#: Runs that this process has taken: told twice that one is its own, it starts it once.
_taken: set[str] = set()
_mutex = threading.Lock()


def deliver(execution_id: str) -> None:
    """Run what waits under this identity, or what has its turn before it. Never raises."""
    try:
        started = _ask(execution_id)
        if started is not None and _take(started):
            with watching.over(started) as watch:
                _run(_facts_of(started), watch)
    except StoreError as error:
        log.warning("a run could not be taken", execution_id=execution_id, cause=str(error))
    except Exception:
        log.exception("a delivery failed", execution_id=execution_id)


def _take(execution_id: str) -> bool:
    """Whether this is the first time that the run is given to this process."""
    with _mutex:
        if execution_id in _taken:
            return False
        _taken.add(execution_id)
        return True


def _facts_of(execution_id: str) -> _Claimed:
    """Return what the run's row says. Raises ``StoreUnavailable``."""
    facts = _insist(lambda: store_facts(execution_id))
    row = _insist(lambda: store().reads.row(statement("sealed_run"), [execution_id]))
    return _Claimed(execution_id, row[0] if row else "", facts)


def _ask(execution_id: str) -> str | None:
    """Turn a run into a running one of ours and return which; ``None``: nothing is to start.

    Asked until there is an answer: a lost one may have been a yes. Raises ``StoreUnavailable``.
    """
    given = [execution_id, HOST, this_worker(), settings.RUNS_MOST]
    row = _insist(lambda: store().reads.row(START_RUN, given))
    if row is None or row[0] not in ("started", "mine"):
        return None
    return str(row[1])


def _insist(ask: Any) -> Any:
    """Ask again while PostgreSQL is away. Raises ``StoreUnavailable`` in the end."""
    give_up_at_s = time.monotonic() + CLAIM_FOR_S
    while True:
        try:
            return ask()
        except StoreError:
            if time.monotonic() >= give_up_at_s:
                raise
            time.sleep(RETRY_S)


def _run(claimed: _Claimed, watch: Watch) -> None:
    """Run it and tell its end. Who declares it over meanwhile keeps it from starting."""
    execution_id = claimed.execution_id
    try:
        decision = unseal_decision(claimed.sealed, execution_id)
    except Unsealable as error:
        log.error(
            "a queued run cannot be read by this worker",
            execution_id=execution_id,
            cause=str(error),
            next_step="give all hosts the same SECRET_KEY and release",
        )
        _tell_unstarted(claimed, refuse(ReasonCode.E6_SPAWN_FAILED))
        return
    refusal = _insist(lambda: _second_thoughts(execution_id, decision))
    if refusal is not None:
        _tell_unstarted(claimed, refusal)
        return
    with OutputSink(execution_id) as sink:
        result = perform(decision, execution_id, watch, on_output=sink.take)
    verdict = verdict_of(result)
    row = closing_row(execution_id, verdict, result, watch.told)
    tell_observers(verdict, result)
    _tell(claimed, verdict, row, result.duration_ms)
    if is_limited(decision):
        make_room()


def _second_thoughts(execution_id: str, decision: Decision) -> Verdict | None:
    """Return why a run must not start although it was queued: what is wanted may have changed.

    An action that was switched off meanwhile starts nothing, nor does what needs an approval
    that does not fit. Raises ``StoreUnavailable``.
    """
    action = find_action(decision.action.name)
    if action is None:
        return refuse(ReasonCode.G8_UNKNOWN_ACTION)
    if not action.enabled:
        return refuse(ReasonCode.G9_ACTION_DISABLED)
    return object_to_start(execution_id, decision)


def _tell_unstarted(claimed: _Claimed, verdict: Verdict) -> None:
    now = iso_ms(int(time.time() * 1000))
    _tell(claimed, verdict, bare_row(claimed.execution_id, verdict, verdict.message, now), 0)


def _tell(claimed: _Claimed, verdict: Verdict, row: dict[str, Any], duration_ms: int) -> None:
    """Make the end durable, in PostgreSQL or in the journal, however long that takes."""
    while True:
        try:
            told = tell_end(
                claimed.facts, claimed.execution_id, verdict, row, duration_ms=duration_ms
            )
        except AuditUnavailable as error:
            log.error("a run's end waits", execution_id=claimed.execution_id, cause=str(error))
            time.sleep(RETRY_S)
            continue
        if not told:
            log.warning("a run was closed by another", execution_id=claimed.execution_id)
        break
    with _mutex:
        _taken.discard(claimed.execution_id)


def make_room() -> None:
    """Bring runs that wait for room, or whose job was lost, to the workers of their queues."""
    try:
        store().reads.rows(statement("deliver_again"))
    except StoreError as error:
        log.warning("waiting runs could not be delivered again", cause=str(error))
