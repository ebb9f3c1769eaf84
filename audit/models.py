"""The audit tables as Django sees them: for reading. Writing goes through ``audit.recorder``."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from techno.governance.status import Status


class RowsNeverChange(Exception):
    """Somebody tried to write an audit row through the ORM."""


class InsertOnly(models.Model):
    """Manners on top of the triggers and privileges that really hold: no save, no delete."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Refuse. Raises :class:`RowsNeverChange`."""
        raise RowsNeverChange("audit rows are written by audit.recorder and never change")

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Refuse. Raises :class:`RowsNeverChange`."""
        raise RowsNeverChange("audit rows are never deleted")


class AuditLog(InsertOnly):
    """The contract's row: five columns that other writers and readers share."""

    trace_id = models.UUIDField(primary_key=True)
    timestamp = models.DateTimeField()
    reason_codes = models.JSONField(default=list)
    session_id = models.TextField(default="")
    user_ip = models.TextField(default="")

    class Meta:
        db_table = "audit_logs"
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return str(self.trace_id)


class AuditTrace(InsertOnly):
    """A row's companion: the five columns once more, and what else is known of the request."""

    trace_id = models.UUIDField("trace id", primary_key=True)
    timestamp = models.DateTimeField("time")
    reason_codes = models.JSONField("reason codes", default=list)
    session_id = models.TextField("session", default="")
    user_ip = models.TextField("address", default="")
    status = models.TextField(choices=[(status.value, status.value) for status in Status])
    action = models.TextField()
    method = models.TextField()
    path = models.TextField()
    http_status = models.SmallIntegerField("HTTP status", null=True)
    duration_ms = models.IntegerField("duration (ms)", null=True)
    principal_kind = models.TextField("caller's kind")
    principal_label = models.TextField("caller")
    key_prefix = models.TextField("key")
    execution_id = models.TextField("execution", null=True)
    message = models.TextField()
    host = models.TextField()
    user_agent = models.TextField("agent")
    detail = models.JSONField(default=dict)
    salt = models.TextField()

    class Meta:
        db_table = "audit_traces"
        verbose_name = _("trace")
        verbose_name_plural = _("traces")
        default_permissions = ("view",)
        permissions = [
            ("export_audittrace", gettext_noop("May export the log")),
            ("verify_log", gettext_noop("May verify the log")),
        ]
        # No ordering here: lists are ordered by (timestamp, trace_id) where they are made, and
        # nothing else shall pay for a sort.

    def __str__(self) -> str:
        return str(self.trace_id)


class AuditTraceCode(InsertOnly):
    """One reason code of one trace, in the order in which a code's traces are read.

    ``also`` is another code of the same trace, empty for the entry of the code alone. The other
    columns are the trace's, for lists that ask for them beside the code.
    """

    pk = models.CompositePrimaryKey("code", "also", "timestamp", "trace_id")
    code = models.TextField()
    also = models.TextField()
    timestamp = models.DateTimeField()
    trace_id = models.UUIDField()
    status = models.TextField()
    action = models.TextField()
    key_prefix = models.TextField()
    session_id = models.TextField()
    user_ip = models.TextField()

    class Meta:
        db_table = "audit_trace_codes"
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return f"{self.code} {self.trace_id}"


class VerificationState(models.TextChoices):
    """How far a verification has come."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    ENDED = "ended", _("ended")


class VerificationOutcome(models.TextChoices):
    """What a verification that ended has found, if it could look at everything."""

    WHOLE = "whole", _("complete and unaltered")
    DAMAGED = "damaged", _("damaged")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")


class Verification(models.Model):
    """A verification of the whole log that somebody asked for in the portal.

    ``open`` is true until it has ended, and nothing then: of the true ones there is one at most.
    ``result`` is what ``audit.verification_requests`` tells of its end.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    asked_at = models.DateTimeField()
    asked_by = models.TextField()
    state = models.TextField(choices=VerificationState, default=VerificationState.WAITING)
    open = models.BooleanField(null=True, default=True, unique=True)
    began_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    host = models.TextField(default="")
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    outcome = models.TextField(choices=VerificationOutcome, default="")
    result = models.JSONField(default=dict)

    class Meta:
        db_table = "audit_verifications"
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return str(self.id)
