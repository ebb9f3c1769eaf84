"""Removing what runs printed once it is older than the operator keeps it.

Only the output store loses something: the stretches of output, and the two texts in a run's row.
The row itself, its verdict and its audit rows stay, and say since when the output is gone.
"""

from __future__ import annotations

import time
from datetime import datetime

import structlog
from django.conf import settings
from django.db import connection

from executor.sql import statement
from techno.acts import recorded_change
from techno.gate import begin
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.trace import iso

log = structlog.get_logger(__name__)
ACTION = "run.output.remove"
DAY_S = 86_400
#: What one transaction removes at most, and so one audit row tells of.
RUNS_AT_ONCE = 500
BYTES_AT_ONCE = 64 * 1024 * 1024
#: The keeper has other things to do; what is left is removed at its next turn.
TURN_S = 2.0
#: Keepers of several hosts take turns.
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('executor.output_removal'))"


class _NothingDue(Exception):
    """No output is old enough: there is nothing to change and nothing to record."""


def remove_old_output() -> int:
    """Remove output that is older than ``TECHNO_OUTPUT_KEEP_DAYS``; return of how many runs.

    Each transaction leaves one audit row with their number. With 0 days everything is kept.
    Raises ``AuditUnavailable`` and Django's database errors; what is left is found next time.
    """
    days = settings.OUTPUT_KEEP_DAYS
    ends_at_s = time.monotonic() + TURN_S
    total = 0
    while days and time.monotonic() < ends_at_s:
        try:
            total += _remove_some(days)
        except _NothingDue:
            break
    if total:
        log.info("old output was removed", runs=total, kept_days=days)
    return total


def _remove_some(days: int) -> int:
    governed = begin(method="KEEPER", path="output")
    governed.principal = Principal(PrincipalKind.SYSTEM, "keeper", "keeper")
    with recorded_change(governed, ACTION, {"kept_days": days}) as detail:
        count, size, first, last = _remove(days)
        if not count:
            raise _NothingDue
        detail |= {
            "runs": count,
            "bytes": size,
            "first_ended": first.isoformat(),
            "last_ended": last.isoformat(),
        }
    return count


def _remove(days: int) -> tuple[int, int, datetime, datetime]:
    before_ms = int((time.time() - days * DAY_S) * 1000)
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
        if cursor.fetchone() != (True,):
            raise _NothingDue
        cursor.execute(
            statement("remove_output"),
            {
                "days": days,
                "before": f"run_{before_ms:012x}",
                "runs": RUNS_AT_ONCE,
                "bytes": BYTES_AT_ONCE,
            },
        )
        found: tuple[int, int, datetime, datetime] = cursor.fetchone()
    return found


def days_kept(ended_at: datetime | None, removed_at: datetime) -> int:
    """Return for how many whole days a run's output was kept."""
    return max(0, (removed_at - ended_at).days) if ended_at else 0


def removal_facts(ended_at: datetime | None, removed_at: datetime | None) -> dict[str, str | None]:
    """Return what the API tells of output that is gone; of output that is there, nulls."""
    if removed_at is None:
        return {"output_removed_at": None, "output_note": None}
    days = days_kept(ended_at, removed_at)
    told = f"{days} day" if days == 1 else f"{days} days"
    return {
        "output_removed_at": iso(removed_at),
        "output_note": f"The output was removed after {told}.",
    }
