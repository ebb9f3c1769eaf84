"""What is decided of a governed request before and after everything else, by its address."""

from __future__ import annotations

from django.http import HttpRequest

from techno.access import refusals
from techno.gate import Governed
from techno.governance.principal import ANONYMOUS
from techno.governance.verdict import Verdict
from techno.web.answers import Answer, plain_answer

SERVER_FAULT = 500


def stop(request: HttpRequest, governed: Governed) -> Answer | None:
    """Return the refusal of an address that is not let in, with its row; else ``None``.

    Raises ``AuditUnavailable``.
    """
    verdict = refusals.stop(governed, _key(request))
    return None if verdict is None else plain_answer(request, governed, verdict)


def stop_after(request: HttpRequest, governed: Governed, verdict: Verdict) -> Answer | None:
    """Return what takes the place of a stranger's refusal that was one too many; else ``None``.

    Raises ``AuditUnavailable``.
    """
    if governed.principal is not ANONYMOUS or not verdict.failed:
        return None
    if verdict.http_status >= SERVER_FAULT:
        return None
    instead = refusals.refused_too_often(governed, _key(request))
    return None if instead is None else plain_answer(request, governed, instead)


def _key(request: HttpRequest) -> str:
    key: str = request.META.get("HTTP_X_API_KEY", "")
    return key
