"""The answers as the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from techno.governance.status import Status

STATUSES = [(status.value, status.value) for status in Status]


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """How the description names our authentication."""

    target_class = "techno.web.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "apiKey", "in": "header", "name": "X-API-Key"}


class Envelope(serializers.Serializer[Any]):
    """What every answer has."""

    status = serializers.ChoiceField(choices=STATUSES)
    trace_id = serializers.UUIDField()
    ts_utc = serializers.DateTimeField()
    reason_codes = serializers.ListField(child=serializers.CharField())


class Refusal(Envelope):
    """An answer that says no."""

    status = serializers.ChoiceField(choices=STATUSES)
    message = serializers.CharField()
    fallback = serializers.CharField(required=False)


class ExecutionFacts(serializers.Serializer[Any]):
    """What is known of a run."""

    exit_code = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField()
    executed_at = serializers.DateTimeField()
    execution_id = serializers.RegexField(r"^[a-z0-9_]+$", allow_null=True)


class ApprovalFacts(serializers.Serializer[Any]):
    """What a run waits for, or waited for."""

    state = serializers.CharField()
    needed = serializers.IntegerField()
    given = serializers.IntegerField()
    groups = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField()
    expires_at = serializers.DateTimeField()
    decisions = serializers.ListField(child=serializers.DictField())


class DryRunFacts(serializers.Serializer[Any]):
    """What a dry run tells of the run that it did not start. Secrets are masked."""

    dry_run = serializers.BooleanField(required=False)
    version = serializers.IntegerField(required=False, help_text="The action's version.")
    argv = serializers.ListField(child=serializers.CharField(), required=False)
    params = serializers.DictField(required=False, help_text="With defaults filled in.")
    environment = serializers.DictField(child=serializers.CharField(), required=False)
    descriptors = serializers.ListField(child=serializers.IntegerField(), required=False)
    working_directory = serializers.CharField(required=False, allow_blank=True)
    limits = serializers.DictField(required=False)
    is_async = serializers.BooleanField(required=False)
    queue = serializers.CharField(required=False, allow_blank=True)


class ExecutionData(ExecutionFacts, DryRunFacts):
    """A run, in ``data``."""

    trace_id = serializers.UUIDField()
    command = serializers.CharField()
    approval = ApprovalFacts(required=False)


class ExecuteAnswer(Envelope, ExecutionFacts):
    """A governed decision about a command, and its outcome."""

    stdout = serializers.CharField(allow_blank=True)
    stderr = serializers.CharField(allow_blank=True)
    data = ExecutionData()
    message = serializers.CharField(required=False)


class AuditEntry(serializers.Serializer[Any]):
    """One row of the audit log."""

    timestamp = serializers.DateTimeField()
    action = serializers.CharField(allow_blank=True)
    result = serializers.ChoiceField(choices=["SUCCESS", "FAILED"])
    state = serializers.ChoiceField(choices=STATUSES)
    execution_id = serializers.CharField(allow_null=True)
    trace_id = serializers.UUIDField()
    reason_codes = serializers.ListField(child=serializers.CharField())
    session_id = serializers.CharField(allow_blank=True)
    user_ip = serializers.CharField(allow_blank=True)
    http_status = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    key = serializers.CharField(allow_blank=True)


class AuditAnswer(Envelope):
    """A page of the audit log, newest first."""

    data = AuditEntry(many=True)
    entries = AuditEntry(many=True)
    next = serializers.CharField(allow_null=True, help_text="Cursor of the older rows.")
    previous = serializers.CharField(
        allow_null=True, required=False, help_text="Cursor of the newer rows."
    )


class MemoryData(serializers.Serializer[Any]):
    """Figures of host and process, and the key's last execution."""

    used = serializers.IntegerField()
    available = serializers.IntegerField()
    total = serializers.IntegerField()
    percent = serializers.FloatField()
    process_rss = serializers.IntegerField()
    cpu_percent = serializers.FloatField()
    uptime_s = serializers.IntegerField()
    command = serializers.CharField(allow_null=True)
    output = serializers.CharField(allow_null=True, allow_blank=True)
    timestamp = serializers.DateTimeField(allow_null=True)
    status = serializers.CharField(allow_null=True)
    execution_id = serializers.CharField(allow_null=True)


class MemoryAnswer(Envelope):
    """Memory and CPU."""

    used = serializers.IntegerField()
    available = serializers.IntegerField()
    data = MemoryData()


class MetricsAnswer(Envelope):
    """Diagnostics."""

    metrics = serializers.DictField(child=serializers.FloatField())
    data = AuditEntry(many=True)


def responses_of(answer: Any, *extra: int) -> dict[Any, Any]:
    """Return the answers that every endpoint can give, with ``answer`` as its success."""
    refusals = {
        401: "No live API key.",
        403: "The key may not do this.",
        405: "The endpoint does not know the method.",
        429: "Over the rate.",
        500: "The service failed.",
        503: "The audit row cannot be written.",
        400: "The request breaks a rule.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        409: "The idempotency key was used for another request.",
    }
    common = (401, 403, 405, 429, 500, 503)
    found: dict[Any, Any] = {200: answer}
    for code in (*common, *extra):
        found[code] = OpenApiResponse(Refusal, description=refusals[code])
    return found


EXECUTE_RESPONSES = {
    **responses_of(ExecuteAnswer, 400, 409, 413, 415),
    202: OpenApiResponse(ExecuteAnswer, description="Not ended yet."),
}
AUDIT_RESPONSES = responses_of(AuditAnswer, 400)
MEMORY_RESPONSES = responses_of(MemoryAnswer)
METRICS_RESPONSES = responses_of(MetricsAnswer)


class ProofAnswer(Envelope):
    """A proof, in the form that the endpoint describes."""

    data = serializers.DictField()


PROOF_RESPONSES = {
    **responses_of(ProofAnswer, 400),
    202: OpenApiResponse(Refusal, description="Not under a checkpoint yet."),
    404: OpenApiResponse(Refusal, description="No such row."),
}
