"""Actions that may be run, and the runs that were."""

from __future__ import annotations

import math

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from executor.approval_models import Approval, ApprovalDecision
from executor.schedule_models import ActionSchedule, ScheduleFiring
from executor.validators import (
    check_approver_groups,
    check_argv,
    check_definition,
    check_directory,
    check_environment,
    check_isolation,
    check_parameters,
    check_reason_pattern,
)
from techno.governance.status import Status

__all__ = [
    "Action",
    "ActionSchedule",
    "ActionVersion",
    "Approval",
    "ApprovalDecision",
    "CommandRun",
    "RunState",
    "ScheduleFiring",
    "WhenFull",
]

ACTION_NAME = RegexValidator(r"\A[A-Z_]{3,32}\Z", _("3 to 32 characters of A-Z and underscore."))
TIMEOUT_MOST_S = 3600
OUTPUT_MOST_BYTES = 16_777_216
QUEUE_NAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9-]{0,62}\Z", _("Lower-case letters, digits and hyphens, 63 at most.")
)
APPROVALS_MOST = 10
APPROVAL_TTL_LEAST_S, APPROVAL_TTL_MOST_S = 60, 7 * 86_400


class WhenFull(models.TextChoices):
    """What a request gets when its action runs as often as it may."""

    WAIT = "wait", _("wait until the deadline")
    REFUSE = "refuse", _("refuse at once")


class Action(models.Model):
    """One registered command: a program and its arguments, never a shell line."""

    name = models.CharField(_("name"), max_length=32, unique=True, validators=[ACTION_NAME])
    description = models.CharField(_("description"), max_length=300, blank=True)
    argv = models.JSONField(
        _("program and arguments"),
        validators=[check_argv],
        help_text=_('A list of texts, for example ["/usr/bin/uptime", "-p"].'),
    )
    timeout_s = models.FloatField(
        _("time limit (s)"),
        default=15,
        validators=[MinValueValidator(0.1), MaxValueValidator(TIMEOUT_MOST_S)],
    )
    output_limit_bytes = models.PositiveIntegerField(
        _("output limit (bytes)"),
        default=1_048_576,
        validators=[MinValueValidator(256), MaxValueValidator(OUTPUT_MOST_BYTES)],
        help_text=_("For each of the two output streams."),
    )
    environment = models.JSONField(
        _("environment"),
        default=dict,
        blank=True,
        validators=[check_environment],
        help_text=_("Variables added to the minimal environment. Not for secrets."),
    )
    working_directory = models.CharField(
        _("working directory"),
        max_length=500,
        blank=True,
        validators=[check_directory],
        help_text=_("Empty: a private one for each run, removed after it."),
    )
    parameters = models.JSONField(
        _("parameters"), default=dict, blank=True, validators=[check_parameters]
    )
    isolation = models.JSONField(
        _("isolation"), default=dict, blank=True, validators=[check_isolation]
    )
    max_running = models.PositiveIntegerField(
        _("runs at once"), default=0, help_text=_("0: as many as there are slots.")
    )
    max_queued = models.PositiveIntegerField(
        _("waiting at once"), default=0, help_text=_("0: as many as there is room for.")
    )
    when_full = models.CharField(
        _("when full"), max_length=12, choices=WhenFull.choices, default=WhenFull.WAIT
    )
    is_async = models.BooleanField(
        _("asynchronous"), default=False, help_text=_("Answered at once; a worker runs it.")
    )
    queue = models.CharField(
        _("queue"),
        max_length=63,
        blank=True,
        validators=[QUEUE_NAME],
        help_text=_("The group of hosts whose workers run it. Empty: the host that is asked."),
    )
    approvals_needed = models.PositiveSmallIntegerField(
        _("approvals needed"), default=0, validators=[MaxValueValidator(APPROVALS_MOST)]
    )
    approver_groups = models.JSONField(
        _("approvers' groups"), default=list, blank=True, validators=[check_approver_groups]
    )
    approval_ttl_s = models.PositiveIntegerField(
        _("approval lapses after (s)"),
        default=3600,
        validators=[
            MinValueValidator(APPROVAL_TTL_LEAST_S),
            MaxValueValidator(APPROVAL_TTL_MOST_S),
        ],
    )
    reason_pattern = models.CharField(
        _("pattern of reasons"), max_length=200, blank=True, validators=[check_reason_pattern]
    )
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    source = models.CharField(
        _("source"),
        max_length=100,
        default="portal",
        editable=False,
        help_text=_("The file that the action was loaded from, or the portal."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        db_table = "executor_actions"
        verbose_name = _("action")
        verbose_name_plural = _("actions")
        permissions = [("run_action", gettext_noop("May run actions"))]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check what concerns several fields. Raises ``ValidationError`` naming the field."""
        if isinstance(self.timeout_s, float) and not math.isfinite(self.timeout_s):
            raise ValidationError({"timeout_s": _("The time limit must be a number.")})
        check_definition(self.argv, self.parameters, self.environment)


class ActionVersion(models.Model):
    """What an action said from one change to the next. Rows are only ever added.

    The action is named by text, so that its history outlives it; an action that is made anew
    under an old name goes on counting.
    """

    action = models.CharField(_("action"), max_length=32)
    version = models.PositiveIntegerField(_("version"))
    snapshot = models.JSONField(_("definition"))
    digest = models.CharField(_("digest"), max_length=64)
    changed_at = models.DateTimeField(_("changed"), default=timezone.now)
    changed_by = models.CharField(_("changed by"), max_length=150, blank=True)
    trace_id = models.UUIDField(_("trace"), null=True)

    class Meta:
        db_table = "executor_action_versions"
        default_permissions = ()
        verbose_name = _("version of an action")
        verbose_name_plural = _("versions of actions")
        constraints = [
            models.UniqueConstraint(
                fields=["action", "version"], name="executor_action_versions_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.version}"


class RunState(models.TextChoices):
    """How far a run has come. A row exists before its process does."""

    WAITING = "waiting", _("waits for approval")
    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    ENDED = "ended", _("ended")


class CommandRun(models.Model):
    """One run: the intent that was committed before the start, and how it ended.

    What the action said at that moment stands here as text, so that the run outlives it.
    """

    execution_id = models.CharField(_("execution"), max_length=64, primary_key=True)
    trace_id = models.UUIDField(_("trace"), unique=True)
    action = models.CharField(_("action"), max_length=32)
    version = models.PositiveIntegerField(_("action's version"), null=True)
    argv = models.JSONField(_("program and arguments"))
    parameters = models.JSONField(_("parameters"), default=dict, db_default={})
    state = models.CharField(
        _("state"), max_length=12, choices=RunState.choices, default=RunState.RUNNING
    )
    status = models.CharField(
        _("status"),
        max_length=12,
        blank=True,
        choices=[(status.value, status.value) for status in Status],
    )
    reason_codes = models.JSONField(_("reason codes"), default=list)
    principal_kind = models.CharField(_("caller's kind"), max_length=20)
    principal_label = models.CharField(_("caller"), max_length=150, blank=True)
    key_prefix = models.CharField(_("key"), max_length=16, blank=True)
    session_id = models.CharField(_("session"), max_length=128, blank=True)
    user_ip = models.CharField(_("address"), max_length=64, blank=True)
    timeout_s = models.FloatField(_("time limit (s)"))
    requested_at = models.DateTimeField(_("requested"))
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    duration_ms = models.IntegerField(_("duration (ms)"), null=True)
    exit_code = models.IntegerField(_("exit code"), null=True)
    signal = models.IntegerField(_("signal"), null=True)
    stdout = models.TextField(_("output"), blank=True)
    stderr = models.TextField(_("error output"), blank=True)
    output_bytes = models.BigIntegerField(_("bytes printed"), default=0)
    truncated = models.BooleanField(_("truncated"), default=False)
    output_removed_at = models.DateTimeField(_("output removed"), null=True, editable=False)
    detail = models.TextField(_("detail"), blank=True)
    host = models.CharField(_("host"), max_length=255)
    worker = models.CharField(_("worker"), max_length=100)
    queue = models.CharField(_("queue"), max_length=63, default="", db_default="")
    heartbeat_at = models.DateTimeField(_("last heartbeat"), null=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True)
    cancel_requested_by = models.CharField(_("cancel requested by"), max_length=150, null=True)
    cancel_reason = models.CharField(
        _("reason of the cancel"), max_length=300, default="", db_default=""
    )
    #: What a waiting run needs to start, readable by the service only; erased at its end.
    sealed = models.TextField(default="", db_default="", editable=False)
    idempotency_key = models.CharField(_("idempotency key"), max_length=255, null=True)

    class Meta:
        db_table = "command_runs"
        verbose_name = _("command run")
        verbose_name_plural = _("command runs")
        permissions = [
            ("view_output", gettext_noop("May see what runs printed")),
            ("cancel_commandrun", gettext_noop("May stop runs")),
            ("approve_run", gettext_noop("May decide about runs that wait for approval")),
        ]
        indexes = [
            models.Index(fields=["requested_at", "execution_id"], name="command_runs_newest"),
            models.Index(fields=["key_prefix", "requested_at"], name="command_runs_key"),
            models.Index(
                fields=["action", "requested_at", "execution_id"], name="command_runs_action"
            ),
            models.Index(
                fields=["status", "requested_at", "execution_id"], name="command_runs_status"
            ),
            models.Index(
                fields=["host"],
                condition=models.Q(state=RunState.RUNNING),
                name="command_runs_running",
            ),
            models.Index(
                fields=["ended_at"],
                condition=models.Q(output_removed_at__isnull=True, output_bytes__gt=0),
                name="command_runs_with_output",
            ),
        ]

    def __str__(self) -> str:
        return self.execution_id
