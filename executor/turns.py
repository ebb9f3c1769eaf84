"""Waiting here for a turn: an action, or the fleet, runs no more at once than it may.

What runs and what waits is counted in PostgreSQL, so the limit is true across processes and
hosts. A turn is held by the run's own row: whatever closes the run gives it back, the reaper of a
dead process's runs too. Among the callers that wait in web processes the next turn goes to the
one that was served least recently; see ``executor_start_run_v2``.
"""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings

from executor.decision import Decision
from executor.fleet import FULL, enter_queue
from executor.local_run import execution_id_of, intent_row, run_opened
from executor.ran import Ran
from executor.requests import RunRequest
from executor.run_ends import bare_row
from executor.statements import CLOSE_RUN, START_RUN
from executor.watching import Watch, watching
from executor.worker_identity import HOST, this_worker
from techno.database.current import store
from techno.database.errors import StoreSlow
from techno.database.group_commit import Write
from techno.gate import Governed
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso_ms
from techno.governance.verdict import Verdict, refuse

LOOK_EVERY_S = 0.05


def run_in_turn(
    governed: Governed,
    decision: Decision,
    request: RunRequest,
    remembered: dict[str, Any] | None,
    ends_in_s: float,
) -> Ran:
    """Run a limited action here when its turn comes, within ``ends_in_s`` of the arrival.

    Raises ``StoreUnavailable`` and ``DuplicateKey``: nothing ran then.
    """
    execution_id = execution_id_of(governed)
    row = intent_row(governed, decision, execution_id, request.idempotency_key)
    row |= {
        "argv": list(decision.shown_argv),
        "parameters": dict(decision.parameters),
        "queue": "",
        "sealed": "",
    }
    if not enter_queue(row, decision, remembered):
        return Ran(FULL)
    governed.execution_id = execution_id
    with watching.over(execution_id) as watch:
        if _await_turn(watch, ends_in_s - governed.elapsed_s()):
            return run_opened(governed, decision, watch)
        code = ReasonCode.E8_CANCELLED if watch.cancelled.is_set() else ReasonCode.G12_TIMEOUT
        return _give_up(governed, watch, refuse(code))


def _await_turn(watch: Watch, seconds: float) -> bool:
    """Wait until the run may start; ``False`` when it may not in time, or is unwanted."""
    ends_at_s = time.monotonic() + seconds
    given = [watch.execution_id, HOST, this_worker(), settings.RUNS_MOST]
    while not watch.cancelled.is_set():
        try:
            row = store().reads.row(START_RUN, given)
        except StoreSlow:  # many ask at once
            row = ("full",)
        if row is not None and row[0] in ("started", "mine"):
            return True
        left_s = ends_at_s - time.monotonic()
        if left_s <= 0 or row is None or row[0] == "gone":
            return False
        watch.cancelled.wait(min(LOOK_EVERY_S, left_s))
    return False


def _give_up(governed: Governed, watch: Watch, verdict: Verdict) -> Ran:
    """Close the run that never began; that and the audit row become durable together."""
    now = iso_ms(int(time.time() * 1000))
    detail = watch.told or "no turn came in time"
    governed.also.append(Write(CLOSE_RUN, bare_row(watch.execution_id, verdict, detail, now)))
    return Ran(verdict)
