"""Queries, bodies and answers of ``/api/runs``: checked, and as the OpenAPI document has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from executor.models import RunState
from executor.run_following import WAIT_MOST_S
from executor.run_reader import LIMIT_DEFAULT, LIMIT_MOST, BadCursor, RunQuery, decode_cursor
from executor.serializers import StrictText
from techno.web.schema import STATUSES, ApprovalFacts, Envelope, Refusal, responses_of

TEXT_LIMIT = 256
REASON_LIMIT = 300
POSITION_MOST = 2**53 - 1


class _Strict(serializers.Serializer[Any]):
    """Refuses what it does not know, as all our requests do."""

    default_error_messages = {"invalid": "The body must be a JSON object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the checked fields. Raises ``ValidationError`` for anything unknown."""
        if isinstance(data, Mapping):
            for name in data:
                if name not in self.fields:
                    raise serializers.ValidationError({str(name)[:64]: "is not known here."})
        checked: dict[str, Any] = super().to_internal_value(data)
        return checked


class _Whole(serializers.IntegerField):
    """Digits 0 to 9 and nothing else."""

    default_error_messages = {"invalid": "must be a whole number."}

    def to_internal_value(self, data: Any) -> int:
        """Return the number. Raises ``ValidationError``."""
        if not isinstance(data, str) or not data.isascii() or not data.isdecimal():
            self.fail("invalid")
        return super().to_internal_value(data)


class RunsQuery(_Strict):
    """What to list."""

    state = serializers.ChoiceField(choices=RunState.choices, required=False)
    status = serializers.ChoiceField(choices=STATUSES, required=False)
    action = serializers.CharField(max_length=TEXT_LIMIT, required=False)
    queue = serializers.CharField(max_length=TEXT_LIMIT, required=False)
    key = serializers.CharField(max_length=TEXT_LIMIT, required=False)
    since = serializers.DateTimeField(required=False, help_text="Requested then or later.")
    until = serializers.DateTimeField(required=False, help_text="Requested before.")
    limit = _Whole(min_value=1, max_value=LIMIT_MOST, default=LIMIT_DEFAULT)
    cursor = serializers.CharField(
        max_length=TEXT_LIMIT, required=False, help_text="The `next` of a page."
    )

    def validate_cursor(self, value: str) -> str:
        """Return the cursor. Raises ``ValidationError`` for one that is not ours."""
        try:
            decode_cursor(value)
        except BadCursor as error:
            raise serializers.ValidationError("must be one that this service returned.") from error
        return value

    def query_of(self, parameters: Any) -> RunQuery:
        """Return the query that a URL holds. Raises ``ValidationError``."""
        return RunQuery(**self.run_validation(parameters.dict()))


class OutputQuery(_Strict):
    """Which output, and how long to wait for it."""

    after = _Whole(
        min_value=0,
        max_value=POSITION_MOST,
        default=0,
        help_text="A position: the `next` of the answer before.",
    )
    stream = serializers.ChoiceField(choices=["all", "stdout", "stderr"], default="all")
    wait = _Whole(
        min_value=0,
        max_value=WAIT_MOST_S,
        default=WAIT_MOST_S,
        help_text="Seconds to wait for output while the run goes on.",
    )


class CancelRequest(_Strict):
    """Why."""

    reason = StrictText(max_length=REASON_LIMIT, required=False, default="", allow_blank=True)

    def validate_reason(self, value: str) -> str:
        """Return the reason. Raises ``ValidationError`` for what a line of text cannot hold."""
        if not value.isprintable():
            raise serializers.ValidationError("must be printable.")
        return value


class CancelFacts(serializers.Serializer[Any]):
    """Who wanted a run stopped."""

    at = serializers.DateTimeField()
    by = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)


class RunFacts(serializers.Serializer[Any]):
    """What is known of a run."""

    execution_id = serializers.RegexField(r"^[a-z0-9_]+$")
    trace_id = serializers.UUIDField(help_text="Of the request that asked for the run.")
    command = serializers.CharField()
    version = serializers.IntegerField(allow_null=True)
    state = serializers.ChoiceField(choices=RunState.choices)
    status = serializers.ChoiceField(choices=STATUSES)
    reason_codes = serializers.ListField(child=serializers.CharField())
    key = serializers.CharField(allow_blank=True)
    queue = serializers.CharField(allow_blank=True)
    host = serializers.CharField(allow_blank=True)
    requested_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    exit_code = serializers.IntegerField(allow_null=True)
    signal = serializers.IntegerField(allow_null=True)
    output_bytes = serializers.IntegerField()
    truncated = serializers.BooleanField()
    output_removed_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when its output is not kept any more."
    )
    output_note = serializers.CharField(
        allow_null=True, help_text="After how many days it was removed, in words."
    )
    timeout_s = serializers.FloatField()
    cancel = CancelFacts(allow_null=True)
    ending = serializers.CharField(
        allow_blank=True, help_text="Of a run that was made to end: by whom, and what was killed."
    )
    approval = ApprovalFacts(required=False)


class RunAnswer(Envelope):
    """One run. The verdict is the run's own."""

    data = RunFacts()
    execution_id = serializers.CharField()
    state = serializers.ChoiceField(choices=RunState.choices)
    exit_code = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField()
    executed_at = serializers.DateTimeField()
    stdout = serializers.CharField(allow_blank=True)
    stderr = serializers.CharField(allow_blank=True)
    message = serializers.CharField(required=False)


class RunsAnswer(Envelope):
    """A page of runs, newest first."""

    data = RunFacts(many=True)
    next = serializers.CharField(allow_null=True, help_text="Cursor of the older runs.")


class OutputPiece(serializers.Serializer[Any]):
    """A stretch of one stream."""

    stream = serializers.ChoiceField(choices=["stdout", "stderr"])
    offset = serializers.IntegerField()
    bytes = serializers.IntegerField()
    base64 = serializers.CharField()


class OutputAnswer(Envelope):
    """Output, in the order in which it came."""

    data = OutputPiece(many=True)
    execution_id = serializers.CharField()
    state = serializers.ChoiceField(choices=RunState.choices)
    next = serializers.IntegerField(help_text="Where to go on.")
    ended = serializers.BooleanField(help_text="Nothing more comes.")
    output_removed_at = serializers.DateTimeField(allow_null=True)
    output_note = serializers.CharField(allow_null=True)


_NOT_THERE = {404: OpenApiResponse(Refusal, description="No such run for this key.")}

RUN_RESPONSES = {
    **responses_of(RunAnswer),
    **_NOT_THERE,
    202: OpenApiResponse(RunAnswer, description="Not ended yet."),
}
RUNS_RESPONSES = responses_of(RunsAnswer, 400)
OUTPUT_RESPONSES = {**responses_of(OutputAnswer, 400), **_NOT_THERE}
CANCEL_RESPONSES = {
    **responses_of(RunAnswer, 400, 413, 415),
    **_NOT_THERE,
    202: OpenApiResponse(RunAnswer, description="It is being stopped."),
}
