"""The one JSON object that every answer under ``/api/`` is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from techno.governance.verdict import Verdict

#: Fields that only the envelope itself may set.
RESERVED_FIELDS = frozenset({"status", "trace_id", "ts_utc", "reason_codes", "data", "message"})


def build(
    verdict: Verdict,
    *,
    trace_id: str,
    ts_utc: str,
    data: Any = None,
    beside: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the answer's body.

    ``data`` is what the endpoint returns; it is present whenever there is some, a governed
    refusal of a run included. ``message`` is present when the verdict has a sentence. ``beside``
    are the endpoint's fields that stand next to the envelope's own.

    Raises ``ValueError`` when ``beside`` would overwrite one of the envelope's fields with
    another value: an adapter must not be able to forge a status.
    """
    body: dict[str, Any] = {
        "status": verdict.status.value,
        "trace_id": trace_id,
        "ts_utc": ts_utc,
        "reason_codes": verdict.codes,
    }
    if beside:
        for name in RESERVED_FIELDS.intersection(beside):
            if body.get(name) != beside[name]:
                raise ValueError(f"the field {name!r} belongs to the envelope")
        body.update(beside)
    if data is not None:
        body["data"] = data
    if verdict.message:
        body["message"] = verdict.message
    return body
