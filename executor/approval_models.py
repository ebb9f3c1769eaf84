"""Runs that wait for people, and what people decided about them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

REASON_LIMIT = 500


class ApprovalState(models.TextChoices):
    """How far an approval has come."""

    WAITING = "waiting", _("waiting")
    APPROVED = "approved", _("approved")
    REFUSED = "refused", _("refused")
    LAPSED = "lapsed", _("lapsed")
    VOID = "void", _("void")
    WITHDRAWN = "withdrawn", _("withdrawn")


class Approval(models.Model):
    """What one waiting run needs, and what exactly is approved: as it was asked for.

    ``digest`` binds it to the action's version, the true argv and environment, and the
    requester. ``barred`` are the names of those who may not decide, because it is theirs.
    """

    execution_id = models.CharField(_("execution"), max_length=64, primary_key=True)
    trace_id = models.UUIDField(_("trace"))
    action = models.CharField(_("action"), max_length=32)
    version = models.PositiveIntegerField(_("action's version"), null=True)
    argv = models.JSONField(_("program and arguments"))
    parameters = models.JSONField(_("parameters"), default=dict)
    digest = models.CharField(_("digest"), max_length=64)
    requester_kind = models.CharField(_("requester's kind"), max_length=20)
    requester = models.CharField(max_length=150)
    requester_label = models.CharField(_("requester"), max_length=150, blank=True)
    barred = models.JSONField(default=list)
    reason = models.CharField(_("reason"), max_length=REASON_LIMIT)
    needed = models.PositiveSmallIntegerField(_("approvals needed"))
    given = models.PositiveSmallIntegerField(_("approvals given"), default=0)
    groups = models.JSONField(_("approvers' groups"), default=list)
    state = models.CharField(
        _("state"), max_length=12, choices=ApprovalState.choices, default=ApprovalState.WAITING
    )
    requested_at = models.DateTimeField(_("requested"))
    expires_at = models.DateTimeField(_("lapses"))
    settled_at = models.DateTimeField(_("decided"), null=True)

    class Meta:
        db_table = "executor_approvals"
        default_permissions = ("view",)
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        indexes = [
            models.Index(fields=["requested_at", "execution_id"], name="executor_approvals_newest"),
            models.Index(
                fields=["state", "requested_at", "execution_id"], name="executor_approvals_state"
            ),
            models.Index(
                fields=["requester", "requested_at", "execution_id"],
                name="executor_approvals_who",
            ),
        ]

    def __str__(self) -> str:
        return self.execution_id


class ApprovalDecision(models.Model):
    """One thing that happened to an approval. Rows are only ever added, numbered from 1.

    The number is part of the key: of two people who decide at the same moment, one is second
    and looks again.
    """

    identity = models.CharField(max_length=80, primary_key=True)
    execution_id = models.CharField(_("execution"), max_length=64, db_index=True)
    number = models.PositiveSmallIntegerField()
    decision = models.CharField(max_length=12)
    person = models.CharField(_("person"), max_length=150, blank=True)
    reason = models.CharField(_("reason"), max_length=REASON_LIMIT, blank=True)
    trace_id = models.UUIDField(_("trace"))
    decided_at = models.DateTimeField(_("decided"))

    class Meta:
        db_table = "executor_approval_decisions"
        default_permissions = ()
        verbose_name = _("decision about a run")
        verbose_name_plural = _("decisions about runs")
        constraints = [
            models.UniqueConstraint(
                fields=["execution_id", "person"],
                condition=~models.Q(person=""),
                name="executor_approval_decisions_once",
            )
        ]

    def __str__(self) -> str:
        return self.identity
