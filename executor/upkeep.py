"""What the queue needs done in the background: lost jobs, forgotten runs, old answers."""

from __future__ import annotations

import structlog
from django.conf import settings

from executor.deliveries import make_room
from executor.idempotency import ANSWERS_KEPT_S
from executor.run_ends import end_cancelled_before_start, end_unstarted
from executor.sql import statement
from executor.statements import REQUEST_CANCEL
from techno.database.current import store
from techno.database.group_commit import Write
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso
from techno.governance.verdict import refuse

log = structlog.get_logger(__name__)


def tend_queue() -> None:
    """Deliver again what was lost, and end what was cancelled or waited too long.

    Raises ``StoreError`` and ``AuditUnavailable``; all of it is tried again next time.
    """
    store().reads.rows(statement("forget_jobs"))
    make_room()
    for execution_id, cancelled in store().reads.rows(
        statement("stale_queued_runs"), [settings.QUEUED_MOST_S]
    ):
        if cancelled:
            end_cancelled_before_start(execution_id)
        else:
            _end_forgotten(execution_id)


def _end_forgotten(execution_id: str) -> None:
    """End a run that no worker wanted. The wish to stop it keeps a late worker from it."""
    wish = {
        "execution_id": execution_id,
        "at": iso(store().reads.rows("SELECT now()")[0][0]),
        "by": "the keeper",
        "reason": "it waited too long",
    }
    store().writes.commit(Write(REQUEST_CANCEL, wish))
    if store().reads.row(statement("still_queued"), [execution_id]) is not None:
        verdict = refuse(ReasonCode.G12_TIMEOUT)
        end_unstarted(execution_id, verdict, "no worker of its queue took it in time")
        log.warning("a queued run was given up", execution_id=execution_id)


def forget_answers() -> None:
    """Forget what callers can no longer repeat. Raises ``StoreError``."""
    store().reads.rows(statement("forget_answers"), [ANSWERS_KEPT_S])
