"""``POST /api/execute``: an adapter of the command engine."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from executor.preferences import InvalidName, checked_name, fingerprint, wants_async
from executor.ran import Ran
from executor.requests import RunRequest
from executor.runs import execute
from executor.sealing import binding_digest
from executor.serializers import ExecuteRequest
from techno.gate import Governed
from techno.governance.principal import Scope
from techno.governance.trace import iso_ms
from techno.web.answers import Answer, answer, governed_of
from techno.web.schema import EXECUTE_RESPONSES
from techno.web.view import GovernedView

#: The run is known and has not ended: its address says where it will be told.
ACCEPTED = 202
#: Checks keep nothing of what they check: making the fields anew cost more than the checks do.
_REQUEST = ExecuteRequest()


class ExecuteView(GovernedView):
    """Runs one registered action."""

    required_scope = Scope.EXECUTE
    action_name = "execute"

    @extend_schema(
        operation_id="execute",
        summary="Run one registered action",
        request=ExecuteRequest,
        responses=EXECUTE_RESPONSES,
        tags=["execute"],
    )
    def post(self, request: Request) -> Answer:
        """Parse, run, wrap."""
        values = _REQUEST.run_validation(request.data)
        governed = governed_of(request)
        governed.name_session(values.get("session_id") or values.get("sessionId") or "")
        try:
            name = checked_name(request.META.get("HTTP_IDEMPOTENCY_KEY"))
        except InvalidName as error:
            raise ValidationError(str(error)) from error
        asked = RunRequest(
            values["command"],
            values.get("params") or {},
            dry_run=values.get("dry_run", False),
            reason=values.get("reason") or "",
            respond_async=wants_async(request.META.get("HTTP_PREFER", "")),
            idempotency_key=name,
            # Keyed: a body may hold a secret that is easily guessed from a plain digest.
            fingerprint=binding_digest({"body": fingerprint(request.data)}) if name else "",
        )
        ran = execute(governed, asked)
        return _answer(request, governed, ran)


@extend_schema_view(post=extend_schema(deprecated=True, operation_id="process"))
class ProcessView(ExecuteView):
    """The older name of execute."""


def _answer(request: Request, governed: Governed, ran: Ran) -> Answer:
    """Wrap a run. Its output stands beside the envelope only: long output travels once."""
    verdict, result = ran.verdict, ran.result
    if verdict.http_status >= 400:  # no decision about a run, but a refusal to talk about one
        return answer(request, verdict=verdict)
    facts = {
        "exit_code": result.exit_code if result else None,
        "duration_ms": result.duration_ms if result else 0,
        "executed_at": iso_ms(int(result.started_at * 1000))
        if result
        else governed.trace.timestamp,
        "execution_id": governed.execution_id,
    }
    output = {"stdout": result.stdout if result else "", "stderr": result.stderr if result else ""}
    data: dict[str, Any] = {
        **facts,
        "trace_id": governed.trace.trace_id,
        "command": governed.action,
    }
    if ran.preview is not None:
        data |= ran.preview
    if ran.approval is not None:
        data["approval"] = ran.approval
    answered = answer(request, data, verdict, {**facts, **output})
    if verdict.http_status == ACCEPTED:
        answered["Location"] = f"/api/runs/{governed.execution_id}"
    if ran.replayed:
        answered["Idempotency-Replayed"] = "true"
    return answered
