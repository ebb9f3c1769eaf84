"""Firing schedules: each moment once across all hosts, on time or not at all.

A host claims a moment by moving ``next_due_at`` on and adding the firing's row in one
transaction; whoever comes second finds it moved. The claim names the trace before anything
runs. What follows is a normal governed request to run, answered by a queue: nothing here waits
for a run's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from audit.recorder import AuditUnavailable
from executor.cron import next_due
from executor.ran import Ran
from executor.requesters import key_now
from executor.requests import RunRequest
from executor.runs import execute
from executor.schedule_models import ActionSchedule, FiringState, ScheduleFiring
from executor.sealing import Unsealable, unseal
from executor.worker_identity import HOST
from techno.database.errors import StoreError
from techno.gate import Governed, begin, conclude, unavailable
from techno.governance.principal import Principal, PrincipalKind, Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import Verdict, refuse

log = structlog.get_logger(__name__)
METHOD = "SCHEDULE"
FIRED_AT_ONCE_MOST = 20
#: Beyond this a gap's firings are counted as "so many or more".
COUNTED_MOST = 10_000
#: A claim that led to nothing for so long has lost its claimer.
CLAIM_S = 120.0
MISSED = refuse(
    ReasonCode.G12_TIMEOUT, message="The service was not there when the schedule was due."
)


@dataclass(frozen=True, slots=True)
class Fired:
    """One firing that was started or refused."""

    schedule: str
    verdict: Verdict
    execution_id: str


def identity_of(schedule: ActionSchedule) -> Principal:
    """Return the identity of a schedule that runs as itself: one action and nothing else."""
    return Principal(
        PrincipalKind.SYSTEM,
        f"schedule:{schedule.name}",
        f"schedule {schedule.name}",
        frozenset({Scope.EXECUTE}),
        frozenset({schedule.action}),
    )


def fire_due(now: datetime | None = None) -> list[Fired]:
    """Fire what is due now, record what was missed; return what was fired.

    Raises ``StoreError``, ``AuditUnavailable`` and Django's database errors; what was claimed by
    then is found by :func:`settle_claims`.
    """
    now = now or timezone.now()
    fired = []
    due = ActionSchedule.objects.filter(enabled=True, next_due_at__lte=now)
    grace = timedelta(seconds=settings.SCHEDULE_GRACE_S)
    for schedule in due.order_by("next_due_at")[:FIRED_AT_ONCE_MOST]:
        governed = _begin(schedule)
        due_at = schedule.next_due_at
        if due_at is None:
            continue
        if now - due_at > grace:
            _miss(schedule, governed, due_at, now)
            continue
        firing = _claim(schedule, governed, due_at, now)
        if firing is not None:
            fired.append(fire(schedule, governed, firing))
    return fired


def _begin(schedule: ActionSchedule) -> Governed:
    governed = begin(method=METHOD, path=f"schedule {schedule.name}")
    governed.principal = identity_of(schedule)
    governed.action = schedule.action
    governed.detail["schedule"] = schedule.name
    return governed


def _claim(
    schedule: ActionSchedule, governed: Governed, due_at: datetime, now: datetime, **fields: Any
) -> ScheduleFiring | None:
    """Take one moment for this host; ``None`` when it is somebody else's, or none any more."""
    following = next_due(schedule.expression, schedule.zone, fields.get("last_due_at") or due_at)
    mine = ActionSchedule.objects.filter(pk=schedule.pk, next_due_at=due_at, enabled=True)
    with transaction.atomic():
        if not mine.update(next_due_at=following):
            return None
        usual = {
            "schedule": schedule.name,
            "due_at": due_at,
            "state": FiringState.CLAIMED,
            "fired_at": now,
            "trace_id": governed.trace.trace_id,
            "host": HOST,
        }
        return ScheduleFiring.objects.create(**(usual | fields))


def _miss(schedule: ActionSchedule, governed: Governed, due_at: datetime, now: datetime) -> None:
    """Record all firings that are too late by now as one row, and catch none of them up."""
    latest, count = due_at, 1
    limit = now - timedelta(seconds=settings.SCHEDULE_GRACE_S)
    following = next_due(schedule.expression, schedule.zone, latest)
    while following < limit and count < COUNTED_MOST:
        latest, count = following, count + 1
        following = next_due(schedule.expression, schedule.zone, latest)
    told = {"status": MISSED.status.value, "reason_codes": MISSED.codes}
    firing = _claim(
        schedule,
        governed,
        due_at,
        now,
        state=FiringState.MISSED,
        last_due_at=latest,
        count=count,
        **told,
    )
    if firing is None:
        return
    governed.action = "schedule.missed"
    governed.detail |= {
        "first_due": due_at.isoformat(),
        "last_due": latest.isoformat(),
        "count": count,
    }
    conclude(governed, MISSED)
    log.warning("a schedule's firings were missed", schedule=schedule.name, count=count)


def fire(schedule: ActionSchedule, governed: Governed, firing: ScheduleFiring) -> Fired:
    """Make the request that a claimed firing stands for, and note what became of it.

    Raises ``AuditUnavailable`` when that cannot be recorded.
    """
    ran = _ask(schedule, governed)
    conclude(governed, ran.verdict)
    started = ran.verdict.http_status == 202 or ran.result is not None
    ScheduleFiring.objects.filter(pk=firing.pk).update(
        state=FiringState.STARTED if started else FiringState.REFUSED,
        execution_id=governed.execution_id or "",
        status=ran.verdict.status.value,
        reason_codes=ran.verdict.codes,
    )
    return Fired(schedule.name, ran.verdict, governed.execution_id or "")


def _ask(schedule: ActionSchedule, governed: Governed) -> Ran:
    """Ask for the run as whom the schedule runs as; anything that is in the way is a refusal."""
    if schedule.key_prefix:
        principal = key_now(schedule.key_prefix)
        if isinstance(principal, Verdict):
            return Ran(principal)
        governed.principal = principal
    try:
        parameters = unseal(schedule.sealed) if schedule.sealed else {}
        behind = {
            schedule.created_by,
            schedule.changed_by,
            str(governed.detail.get("asked_by", "")),
        }
        return execute(
            governed,
            RunRequest(
                schedule.action,
                parameters,
                respond_async=True,
                reason=schedule.reason or f"schedule {schedule.name}",
                on_behalf_of=tuple(sorted(name for name in behind if name)),
            ),
        )
    except Unsealable:
        return Ran(
            refuse(
                ReasonCode.E5_INTERNAL_ERROR,
                http_status=200,
                message=gettext_noop(
                    "The schedule's parameters cannot be opened any more; set them again."
                ),
            )
        )
    except StoreError:
        return Ran(unavailable())


def settle_claims(now: datetime | None = None) -> int:
    """Close firings whose claimer died before it noted what became of them; return how many.

    The run they started, if any, is found by their trace; one that started nothing is missed.
    """
    from executor.models import CommandRun

    limit = (now or timezone.now()) - timedelta(seconds=CLAIM_S)
    lost = ScheduleFiring.objects.filter(state=FiringState.CLAIMED, fired_at__lt=limit)
    for firing in lost[:FIRED_AT_ONCE_MOST]:
        run = CommandRun.objects.filter(trace_id=firing.trace_id).only("execution_id").first()
        changes: dict[str, Any] = {"state": FiringState.MISSED}
        if run is not None:
            changes = {"state": FiringState.STARTED, "execution_id": run.execution_id}
        ScheduleFiring.objects.filter(pk=firing.pk, state=FiringState.CLAIMED).update(**changes)
        if run is None:
            _tell_of_lost_claim(firing)
    return len(lost)


def _tell_of_lost_claim(firing: ScheduleFiring) -> None:
    governed = begin(method=METHOD, path=f"schedule {firing.schedule}")
    governed.principal = Principal(PrincipalKind.SYSTEM, "keeper", "keeper")
    governed.action = "schedule.missed"
    due = firing.due_at.isoformat() if firing.due_at else None
    governed.detail |= {"schedule": firing.schedule, "first_due": due, "count": 1}
    conclude(governed, MISSED)


__all__ = ["AuditUnavailable", "Fired", "fire", "fire_due", "identity_of", "settle_claims"]
