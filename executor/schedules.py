"""Keeping schedules: added, changed, paused, resumed and run now, each on record.

Firing them is :mod:`executor.schedule_firing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.utils import timezone
from django.utils.translation import gettext_noop

from executor.cron import checked_expression, next_due
from executor.decision import Decision, decide
from executor.requesters import key_now
from executor.requests import RunRequest
from executor.schedule_firing import Fired, fire, identity_of
from executor.schedule_models import ActionSchedule, FiringState, ScheduleFiring
from executor.sealing import seal
from executor.worker_identity import HOST
from techno.acts import differences, recorded_change
from techno.gate import Governed, begin
from techno.governance.principal import PrincipalKind
from techno.governance.verdict import Verdict

_TAKEN = gettext_noop("There is a schedule of this name already.")

_TOLD = ("name", "action", "expression", "zone", "parameters", "reason", "key_prefix", "enabled")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule shall be, as somebody asks for it. Parameters are as they are given."""

    name: str
    action: str
    expression: str
    zone: str = "UTC"
    parameters: Mapping[str, object] = field(default_factory=dict)
    reason: str = ""
    key_prefix: str = ""


def add_schedule(governed: Governed, plan: Plan) -> ActionSchedule:
    """Keep a new schedule, on record. Raises ``ValidationError`` naming the field and the rule."""
    schedule = ActionSchedule(name=plan.name, created_by=_who(governed))
    _apply(schedule, plan, governed)
    try:
        with recorded_change(governed, "schedule.add") as detail:
            detail |= differences({}, _facts(schedule))
            schedule.save(force_insert=True)
    except IntegrityError as error:
        raise ValidationError({"name": _TAKEN}) from error
    return schedule


def change_schedule(governed: Governed, schedule: ActionSchedule, plan: Plan) -> ActionSchedule:
    """Make a schedule what ``plan`` says, on record; its name stays. Raises ``ValidationError``."""
    before = _facts(schedule)
    _apply(schedule, plan, governed)
    with recorded_change(governed, "schedule.change", {"schedule": schedule.name}) as detail:
        detail |= differences(before, _facts(schedule))
        schedule.save(force_update=True)
    return schedule


def pause_schedule(governed: Governed, schedule: ActionSchedule) -> None:
    """Let a schedule fire no more until it is resumed; firings meanwhile are not missed ones."""
    with recorded_change(governed, "schedule.pause", {"schedule": schedule.name}):
        ActionSchedule.objects.filter(pk=schedule.pk).update(
            enabled=False,
            next_due_at=None,
            paused_at=timezone.now(),
            paused_by=_who(governed),
        )


def resume_schedule(governed: Governed, schedule: ActionSchedule) -> None:
    """Let a schedule fire again, from now on."""
    following = next_due(schedule.expression, schedule.zone, timezone.now())
    with recorded_change(governed, "schedule.resume", {"schedule": schedule.name}):
        ActionSchedule.objects.filter(pk=schedule.pk).update(
            enabled=True, next_due_at=following, paused_at=None, paused_by=""
        )


def delete_schedule(governed: Governed, schedule: ActionSchedule) -> None:
    """Remove a schedule; its firings, its runs and their traces stay."""
    with recorded_change(governed, "schedule.delete", {"schedule": schedule.name}) as detail:
        detail |= differences(_facts(schedule), {})
        schedule.delete()


def run_now(governed: Governed, schedule: ActionSchedule) -> Fired:
    """Fire a schedule once by hand, as whom it runs as; when it is due next stays as it is.

    The one who asks stands behind the run: they may not approve of it. The asking is on record
    by a row of its own, the run by another. Raises ``AuditUnavailable`` and ``StoreError``.
    """
    with recorded_change(governed, "schedule.run_now", {"schedule": schedule.name}):
        pass
    act = begin(
        method=governed.trace.method,
        path=governed.trace.path,
        client_address=governed.trace.client_address,
    )
    act.principal, act.action = identity_of(schedule), schedule.action
    act.detail |= {"schedule": schedule.name, "asked_by": _who(governed)}
    firing = ScheduleFiring.objects.create(
        schedule=schedule.name,
        state=FiringState.CLAIMED,
        trace_id=act.trace.trace_id,
        asked_by=_who(governed),
        host=HOST,
    )
    return fire(schedule, act, firing)


def _who(governed: Governed) -> str:
    """Return who acts; people by the name they sign in with, whoever else by its label."""
    principal = governed.principal
    person = principal.kind is PrincipalKind.PERSON
    return principal.identity if person else (principal.label or principal.identity)


def _apply(schedule: ActionSchedule, plan: Plan, governed: Governed) -> None:
    """Put ``plan`` into ``schedule``, checked as a firing would be. Raises ``ValidationError``."""
    schedule.action, schedule.zone = plan.action, plan.zone.strip()
    schedule.expression = " ".join(plan.expression.split())
    schedule.reason, schedule.key_prefix = plan.reason.strip(), plan.key_prefix.strip()
    schedule.changed_by = _who(governed)
    schedule.full_clean(exclude=["parameters", "sealed"], validate_unique=False)
    decision = _decided(schedule, plan)
    schedule.parameters = dict(decision.parameters)
    schedule.sealed = seal(dict(plan.parameters)) if plan.parameters else ""
    expression = checked_expression(schedule.expression)
    if schedule.enabled:
        schedule.next_due_at = next_due(expression, schedule.zone, timezone.now())


def _decided(schedule: ActionSchedule, plan: Plan) -> Decision:
    """Return what would run now; what a firing would be refused for is refused here already."""
    governed = begin()
    governed.principal = identity_of(schedule)
    if schedule.key_prefix:
        principal = key_now(schedule.key_prefix)
        if isinstance(principal, Verdict):
            raise ValidationError({"key_prefix": principal.message})
        governed.principal = principal
    decision = decide(governed, RunRequest(plan.action, plan.parameters))
    if isinstance(decision, Verdict):
        about_parameters = decision.message.startswith("params")
        raise ValidationError({"parameters" if about_parameters else "action": decision.message})
    return decision


def _facts(schedule: ActionSchedule) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in _TOLD}
