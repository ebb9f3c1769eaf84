"""``/api/runs``: adapters of the reading, following and stopping of runs."""

from __future__ import annotations

import base64
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from executor.approval_decisions import current_approval
from executor.approval_reads import PendingApproval
from executor.cancelling import cancel_run
from executor.output_removal import removal_facts
from executor.run_following import follow_output
from executor.run_reader import (
    NOT_THERE,
    NoSuchRun,
    StoredRun,
    list_runs,
    visible_run,
)
from executor.run_serializers import (
    CANCEL_RESPONSES,
    OUTPUT_RESPONSES,
    RUN_RESPONSES,
    RUNS_RESPONSES,
    CancelRequest,
    OutputQuery,
    RunsQuery,
)
from techno.governance.principal import Scope
from techno.governance.verdict import APPROVED
from techno.web.answers import Answer, answer, governed_of
from techno.web.exceptions import Refused
from techno.web.followers import followers
from techno.web.view import GovernedView

_RUNS_QUERY = RunsQuery()
_OUTPUT_QUERY = OutputQuery()
_CANCEL = CancelRequest()


def _run(request: Request, execution_id: str) -> StoredRun:
    """Return the run that is asked for. Raises :class:`Refused` when it is none of the key's."""
    governed = governed_of(request)
    try:
        run = visible_run(execution_id, governed.principal)
    except NoSuchRun as error:
        raise Refused(NOT_THERE) from error
    governed.execution_id = run.execution_id
    return run


def _told(
    request: Request, run: StoredRun, verdict: Any, approval: PendingApproval | None = None
) -> Answer:
    """Wrap a run; its output stands beside the envelope, as execute has it."""
    facts = run.facts()
    if approval is not None:
        facts["approval"] = approval.facts()
    beside = {
        "execution_id": run.execution_id,
        "state": run.state,
        "exit_code": run.exit_code,
        "duration_ms": run.duration_ms or 0,
        "executed_at": facts["started_at"] or facts["requested_at"],
        "stdout": run.stdout,
        "stderr": run.stderr,
    }
    return answer(request, facts, verdict, beside)


class RunsView(GovernedView):
    """Lists runs, newest first."""

    required_scope = Scope.RUNS_READ
    action_name = "runs.read"

    @extend_schema(
        operation_id="runs",
        summary="List runs, newest first",
        parameters=[RunsQuery],
        responses=RUNS_RESPONSES,
        tags=["runs"],
    )
    def get(self, request: Request) -> Answer:
        """Parse, read, wrap."""
        query = _RUNS_QUERY.query_of(request.query_params)
        page = list_runs(query, governed_of(request).principal)
        found = [run.facts() for run in page.runs]
        return answer(request, found, beside={"next": page.next})


class RunView(GovernedView):
    """Shows one run."""

    required_scope = Scope.RUNS_READ
    action_name = "run.read"

    @extend_schema(
        operation_id="run",
        summary="Show one run: how far it has come, or how it ended",
        responses=RUN_RESPONSES,
        tags=["runs"],
    )
    def get(self, request: Request, execution_id: str) -> Answer:
        """Read, wrap: the verdict is the run's own. What is past its time lapses by the look."""
        run = _run(request, execution_id)
        approval = current_approval(execution_id)
        if approval is not None and approval.run_state != run.state:
            run = _run(request, execution_id)
        return _told(request, run, run.verdict, approval)


class OutputView(GovernedView):
    """Gives a run's output, also while it runs."""

    required_scope = Scope.RUNS_READ
    action_name = "run.output"

    @extend_schema(
        operation_id="run_output",
        summary="Read a run's output from a position on, waiting for more while it runs",
        parameters=[OutputQuery],
        responses=OUTPUT_RESPONSES,
        tags=["runs"],
    )
    def get(self, request: Request, execution_id: str) -> Answer:
        """Parse, follow, wrap. The bytes travel as base64: they need not be text."""
        query = _OUTPUT_QUERY.run_validation(request.query_params.dict())
        run = _run(request, execution_id)
        page = follow_output(
            run, query["after"], query["stream"], wait_s=query["wait"], followers=followers()
        )
        pieces = [
            {
                "stream": piece.stream,
                "offset": piece.position,
                "bytes": len(piece.data),
                "base64": base64.b64encode(piece.data).decode("ascii"),
            }
            for piece in page.pieces
        ]
        facts = {
            "execution_id": run.execution_id,
            "state": page.state,
            "next": page.next,
            "ended": page.ended,
            **removal_facts(run.ended_at, run.output_removed_at),
        }
        return answer(request, pieces, APPROVED, facts)


class CancelView(GovernedView):
    """Stops a run."""

    required_scope = Scope.RUNS_CANCEL
    action_name = "run.cancel"

    @extend_schema(
        operation_id="run_cancel",
        summary="Stop a run with everything that it started",
        request=CancelRequest,
        responses=CANCEL_RESPONSES,
        tags=["runs"],
    )
    def post(self, request: Request, execution_id: str) -> Answer:
        """Parse, stop, wrap: approved once it has ended, neutral while it has not."""
        values = _CANCEL.run_validation(request.data if _has_body(request) else {})
        governed = governed_of(request)
        run = _run(request, execution_id)
        governed.detail["run_action"] = run.action
        if values["reason"]:
            governed.detail["reason"] = values["reason"]
        stopped = cancel_run(run, governed.principal, values["reason"])
        return _told(request, stopped, APPROVED if stopped.is_ended else stopped.verdict)


def _has_body(request: Request) -> bool:
    headers = request.META
    return (
        bool(headers.get("HTTP_TRANSFER_ENCODING")) or (headers.get("CONTENT_LENGTH") or "0") != "0"
    )
