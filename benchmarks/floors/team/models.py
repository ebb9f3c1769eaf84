"""The row that a team would write for each request."""

import uuid

from django.db import models


class AuditRow(models.Model):
    """The contract's five columns, and nothing else."""

    trace_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    timestamp = models.DateTimeField(auto_now_add=True)
    reason_codes = models.JSONField(default=list)
    session_id = models.CharField(max_length=128, blank=True)
    user_ip = models.CharField(max_length=64)

    class Meta:
        app_label = "team"
