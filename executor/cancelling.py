"""Stopping a run, wherever it is: who wants it and why stands in its row before it happens."""

from __future__ import annotations

import time

from executor.fleet import wait_until_ended
from executor.run_ends import end_cancelled_before_start
from executor.run_reader import StoredRun
from executor.statements import REQUEST_CANCEL
from techno.database.current import store
from techno.database.group_commit import Write
from techno.governance.principal import Principal
from techno.governance.trace import iso_ms

#: A tree that ignores TERM is dead by then; the answer then tells how it ended.
WAIT_S = 2.0
BY_LIMIT = 150


def cancel_run(run: StoredRun, by: Principal, reason: str, *, wait_s: float = WAIT_S) -> StoredRun:
    """Have ``run`` stopped, and return it as it is when it has ended or ``wait_s`` have passed.

    A run that waits ends at once and never starts. One that runs is ended with everything that it
    started, by whoever watches it. One that is over stays as it was. Raises ``StoreUnavailable``
    and ``AuditUnavailable``.
    """
    if run.is_ended:
        return run
    wish = {
        "execution_id": run.execution_id,
        "at": iso_ms(int(time.time() * 1000)),
        "by": (by.label or by.identity)[:BY_LIMIT],
        "reason": reason,
    }
    store().writes.commit(Write(REQUEST_CANCEL, wish))
    if run.queue:
        end_cancelled_before_start(run.execution_id)
    return wait_until_ended(run.execution_id, wait_s)
