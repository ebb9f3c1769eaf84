"""Checkpoint, inclusion proof and consistency proof: adapters of ``audit.proofs``.

Each answers with the envelope, or with the C2SP text as it is when ``Accept`` asks for
``text/plain``: verifiers and witnesses read that, and nothing of ours.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from audit.checkpoints import DatabaseRefused
from audit.note import encode_base64
from audit.proofs import (
    BadSize,
    NoSuchTrace,
    NotSealed,
    json_proof,
    latest_checkpoint,
    prove_growth,
    prove_row,
    verifier_texts,
)
from audit.signing import NoSigningKey
from techno.governance.principal import Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import APPROVED, refuse
from techno.web.answers import answer
from techno.web.exceptions import Refused
from techno.web.schema import PROOF_RESPONSES
from techno.web.view import GovernedView

TEXT = "text/plain; charset=utf-8"


def wants_text(request: Request) -> bool:
    """Whether the caller asked for the C2SP text instead of the envelope."""
    return "text/plain" in request.META.get("HTTP_ACCEPT", "")


def _plain(text: bytes) -> HttpResponse:
    response = HttpResponse(text, content_type=TEXT)
    response.verdict = APPROVED  # type: ignore[attr-defined]
    return response


def _not_yet(error: Exception) -> Refused:
    return Refused(
        refuse(ReasonCode.E10_NOT_SEALED, message=f"Ask again in some seconds: {error}.")
    )


class CheckpointView(GovernedView):
    """The newest signed checkpoint, and the public keys."""

    required_scope = Scope.AUDIT_READ
    action_name = "audit.checkpoint"

    @extend_schema(
        operation_id="audit_checkpoint",
        summary="The newest signed checkpoint of the log",
        responses=PROOF_RESPONSES,
        tags=["audit"],
    )
    def get(self, request: Request) -> Any:
        """Read, wrap."""
        try:
            found = latest_checkpoint()
        except NotSealed as error:
            raise _not_yet(error) from error
        if wants_text(request):
            return _plain(found.note.encode())
        data = {
            "origin": found.checkpoint.origin,
            "size": found.checkpoint.size,
            "root": encode_base64(found.checkpoint.root),
            "checkpoint": found.note,
            "keys": verifier_texts(found.keys),
        }
        return answer(request, data)


class ProofView(GovernedView):
    """That one row is in the log."""

    required_scope = Scope.AUDIT_READ
    action_name = "audit.proof"

    @extend_schema(
        operation_id="audit_proof",
        summary="Proof that a row is in the log",
        responses=PROOF_RESPONSES,
        tags=["audit"],
    )
    def get(self, request: Request, trace_id: UUID) -> Any:
        """Prove, wrap."""
        try:
            proof = prove_row(str(trace_id))
        except NoSuchTrace as error:
            raise Refused(
                refuse(
                    ReasonCode.G8_UNKNOWN_ACTION,
                    http_status=404,
                    message="No row has this trace id.",
                )
            ) from error
        except (NotSealed, DatabaseRefused, NoSigningKey) as error:
            raise _not_yet(NotSealed("the row is not under a checkpoint yet")) from error
        return _plain(proof.file()) if wants_text(request) else answer(request, json_proof(proof))


class ConsistencyView(GovernedView):
    """That the log only grew."""

    required_scope = Scope.AUDIT_READ
    action_name = "audit.consistency"

    @extend_schema(
        operation_id="audit_consistency",
        summary="Proof that the log of one size extends that of another",
        parameters=[
            OpenApiParameter("from", int, required=True, description="The older size."),
            OpenApiParameter("to", int, description="The newer size; the newest checkpoint's."),
        ],
        responses=PROOF_RESPONSES,
        tags=["audit"],
    )
    def get(self, request: Request) -> Any:
        """Prove, wrap."""
        old = _size(request, "from")
        if old is None:
            raise ValidationError({"from": "is required."})
        try:
            size, proof, note = prove_growth(old, _size(request, "to"))
        except BadSize as error:
            raise ValidationError(str(error)) from error
        except NotSealed as error:
            raise _not_yet(error) from error
        if wants_text(request):
            lines = [f"old {old}", *(encode_base64(value) for value in proof), "", note]
            return _plain("\n".join(lines).encode())
        data = {
            "from": old,
            "to": size,
            "proof": [value.hex() for value in proof],
            "checkpoint": note,
        }
        return answer(request, data)


def _size(request: Request, name: str) -> int | None:
    """Return a size from the query. Raises ``ValidationError`` naming it."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValidationError({name: "must be a whole number of rows."})
    return int(text)
