"""``GET /api/approvals``: an adapter of the reader of approvals."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from executor.approval_models import ApprovalState
from executor.approval_reads import ApprovalQuery, BadCursor, decode_cursor, fetch_approvals
from executor.serializers import COMMAND_RULE
from techno.governance.principal import Scope
from techno.web.answers import Answer, answer, governed_of
from techno.web.schema import Envelope, responses_of
from techno.web.view import GovernedView

LIMIT_DEFAULT, LIMIT_MOST = 50, 1000
CURSOR_LIMIT = 512


class ApprovalFilter(serializers.Serializer[Any]):
    """The query, checked field by field."""

    state = serializers.ChoiceField(choices=[*ApprovalState.values, "all"], default="all")
    action = serializers.RegexField(
        r"\A[A-Z_]{3,32}\Z", required=False, error_messages={"invalid": COMMAND_RULE}
    )
    limit = serializers.IntegerField(default=LIMIT_DEFAULT, min_value=1, max_value=LIMIT_MOST)
    cursor = serializers.CharField(required=False, max_length=CURSOR_LIMIT)

    def validate_cursor(self, value: str) -> str:
        """Return the cursor. Raises ``ValidationError`` for one that is not ours."""
        try:
            decode_cursor(value)
        except BadCursor as error:
            raise ValidationError(str(error)) from error
        return value


class ApprovalEntry(serializers.Serializer[Any]):
    """One approval, as a list shows it."""

    execution_id = serializers.CharField()
    trace_id = serializers.UUIDField()
    action = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    argv = serializers.ListField(child=serializers.CharField(allow_blank=True))
    parameters = serializers.DictField()
    requester_kind = serializers.CharField()
    requester = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    needed = serializers.IntegerField()
    given = serializers.IntegerField()
    groups = serializers.ListField(child=serializers.CharField())
    state = serializers.ChoiceField(choices=ApprovalState.values)
    requested_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)


class ApprovalsAnswer(Envelope):
    """A page of approvals, newest first."""

    data = ApprovalEntry(many=True)  # type: ignore[assignment]
    next = serializers.CharField(allow_null=True, help_text="Cursor of the older ones.")


class ApprovalsView(GovernedView):
    """Reads approvals: those of the key's own runs, or all for a key with ``runs:read-all``."""

    required_scope = Scope.APPROVALS_READ
    action_name = "approvals.read"

    @extend_schema(
        operation_id="approvals",
        summary="Read approvals, newest first",
        parameters=[
            OpenApiParameter("state", enum=[*ApprovalState.values, "all"]),
            OpenApiParameter("action"),
            OpenApiParameter("limit", type=int),
            OpenApiParameter("cursor"),
        ],
        responses=responses_of(ApprovalsAnswer, 400),
        tags=["runs"],
    )
    def get(self, request: Request) -> Answer:
        """Parse, read, wrap."""
        for name, given in request.query_params.lists():
            if name not in _FILTER.fields or len(given) > 1:
                rule = "must stand once." if name in _FILTER.fields else "is not known."
                raise ValidationError({name[:64]: rule})
        values = _FILTER.run_validation(request.query_params.dict())
        principal = governed_of(request).principal
        entries, cursor = fetch_approvals(
            ApprovalQuery(
                requester=None if principal.has_scope(Scope.RUNS_READ_ALL) else principal.identity,
                state=None if values["state"] == "all" else values["state"],
                action=values.get("action"),
                cursor=values.get("cursor", ""),
                limit=values["limit"],
            )
        )
        return answer(request, entries, beside={"next": cursor})


_FILTER = ApprovalFilter()
