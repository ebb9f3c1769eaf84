"""Actions that run by the clock, and what became of each firing."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from executor.cron import BadSchedule, checked_expression, zone_of

SCHEDULE_NAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9-]{0,62}\Z", _("Lower-case letters, digits and hyphens, 63 at most.")
)
_NO_EXPRESSION = gettext_noop("%(value)s is no cron expression of five fields, or is never due.")
_NO_ZONE = gettext_noop("%(value)s is not the name of a time zone.")


def check_expression(value: str) -> None:
    """Raise ``ValidationError`` unless ``value`` is a cron expression that is ever due."""
    try:
        checked_expression(value)
    except BadSchedule as error:
        raise ValidationError(_NO_EXPRESSION, params={"value": repr(value)}) from error


def check_zone(value: str) -> None:
    """Raise ``ValidationError`` unless ``value`` names a time zone."""
    try:
        zone_of(value)
    except BadSchedule as error:
        raise ValidationError(_NO_ZONE, params={"value": repr(value)}) from error


class ActionSchedule(models.Model):
    """One action that runs by the clock.

    ``key_prefix`` names the API key it runs as; empty means a service identity of its own that
    may run this action and nothing else. ``parameters`` are shown, with secrets masked;
    ``sealed`` holds them as they are. ``next_due_at`` is what hosts compete for.
    """

    name = models.CharField(_("name"), max_length=63, unique=True, validators=[SCHEDULE_NAME])
    action = models.CharField(_("action"), max_length=32)
    expression = models.CharField(
        _("cron expression"),
        max_length=100,
        validators=[check_expression],
        help_text=_("Five fields: minute hour day month weekday."),
    )
    zone = models.CharField(_("time zone"), max_length=64, default="UTC", validators=[check_zone])
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    sealed = models.TextField(blank=True, editable=False)
    reason = models.CharField(
        _("reason"),
        max_length=500,
        blank=True,
        help_text=_("Why this runs; approvers are told, where the action needs approval."),
    )
    key_prefix = models.CharField(
        _("runs as key"),
        max_length=16,
        blank=True,
        help_text=_("The key's public prefix. Empty: an identity of the schedule's own."),
    )
    enabled = models.BooleanField(_("active"), default=True)
    paused_at = models.DateTimeField(_("paused"), null=True, editable=False)
    paused_by = models.CharField(_("paused by"), max_length=150, blank=True, editable=False)
    next_due_at = models.DateTimeField(_("next due"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    created_by = models.CharField(_("created by"), max_length=150, blank=True, editable=False)
    changed_by = models.CharField(_("changed by"), max_length=150, blank=True, editable=False)

    class Meta:
        db_table = "executor_schedules"
        permissions = [("run_schedule", gettext_noop("Can run a schedule now"))]
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        indexes = [
            models.Index(
                fields=["next_due_at"],
                condition=models.Q(enabled=True),
                name="executor_schedules_due",
            )
        ]

    def __str__(self) -> str:
        return self.name


class FiringState(models.TextChoices):
    """What became of a firing."""

    CLAIMED = "claimed", _("claimed")
    STARTED = "started", _("started")
    REFUSED = "refused", _("refused")
    MISSED = "missed", _("missed")


class ScheduleFiring(models.Model):
    """One firing, or a row of them that were missed. ``due_at`` is empty for a manual one.

    A claim is one row per schedule and moment, whoever claims; it names the trace before
    anything runs, so what became of it can be found even if the claimer died.
    """

    schedule = models.CharField(_("schedule"), max_length=63)
    due_at = models.DateTimeField(_("due"), null=True)
    last_due_at = models.DateTimeField(_("last due"), null=True)
    count = models.PositiveIntegerField(_("firings"), default=1)
    state = models.CharField(_("state"), max_length=12, choices=FiringState.choices)
    fired_at = models.DateTimeField(_("fired"), default=timezone.now)
    trace_id = models.UUIDField(_("trace"))
    execution_id = models.CharField(_("execution"), max_length=64, blank=True)
    status = models.CharField(_("status"), max_length=12, blank=True)
    reason_codes = models.JSONField(_("reason codes"), default=list)
    asked_by = models.CharField(_("asked by"), max_length=150, blank=True)
    host = models.CharField(_("host"), max_length=255)

    class Meta:
        db_table = "executor_schedule_firings"
        default_permissions = ()
        verbose_name = _("firing")
        verbose_name_plural = _("firings")
        indexes = [
            models.Index(fields=["schedule", "fired_at"], name="executor_firings_newest"),
            models.Index(
                fields=["fired_at"],
                condition=models.Q(state="claimed"),
                name="executor_firings_claimed",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "due_at"], name="executor_schedule_firings_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.schedule} {self.due_at}"
