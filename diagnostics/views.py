"""Memory, metrics and health: adapters of the diagnostics engine."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.request import Request

from diagnostics.memory import get_memory_stats
from diagnostics.metrics import current_values, diagnostic_entries, exposition
from techno.database.errors import StoreError
from techno.governance.principal import Scope
from techno.governance.trace import iso_ms
from techno.web.answers import Answer, answer, governed_of
from techno.web.schema import MEMORY_RESPONSES, METRICS_RESPONSES
from techno.web.view import GovernedView

_NOTHING_RAN = {
    "command": None,
    "output": None,
    "timestamp": None,
    "status": None,
    "execution_id": None,
}


class MemoryView(GovernedView):
    """Memory and CPU, and the caller's last execution.

    ``last_run`` is given by the URL configuration: diagnostics does not know the executor.
    """

    required_scope = Scope.DIAGNOSTICS_READ
    action_name = "memory.read"
    last_run: Callable[[str], Mapping[str, Any]] | None = None

    @extend_schema(
        operation_id="memory",
        summary="Memory and CPU, and this key's last execution",
        responses=MEMORY_RESPONSES,
        tags=["diagnostics"],
    )
    def get(self, request: Request) -> Answer:
        """Measure, look up, wrap."""
        figures = get_memory_stats().as_dict()
        data = {**figures, **self._last(governed_of(request).principal.key_prefix)}
        beside = {"used": figures["used"], "available": figures["available"]}
        return answer(request, data, beside=beside)

    def _last(self, key_prefix: str) -> Mapping[str, Any]:
        """Return the last execution; a store that is away must not take the figures with it."""
        if self.last_run is None:
            return _NOTHING_RAN
        try:
            return self.last_run(key_prefix)
        except StoreError:
            return _NOTHING_RAN


class MetricsView(GovernedView):
    """Diagnostics; where a console looks when the audit list is BLOCKED."""

    required_scope = Scope.DIAGNOSTICS_READ
    action_name = "metrics.read"

    @extend_schema(
        operation_id="diagnostic_metrics",
        summary="Diagnostics; the fallback of the audit list",
        responses=METRICS_RESPONSES,
        tags=["diagnostics"],
    )
    def get(self, request: Request) -> Answer:
        """Probe, collect, wrap."""
        governed = governed_of(request)
        entries = diagnostic_entries(governed.trace, governed.session_id, governed.principal)
        return answer(request, entries, beside={"metrics": current_values()})


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Liveness: this process answers. Public, and asks nothing of anybody."""
    return JsonResponse({"status": "ok", "timestamp": iso_ms(int(time.time() * 1000))})


@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """The scrape endpoint; behind a bearer token where one is configured."""
    token = settings.METRICS_TOKEN
    given = request.META.get("HTTP_AUTHORIZATION", "")
    if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        response = HttpResponse("A bearer token is required.\n", status=401)
        response["WWW-Authenticate"] = "Bearer"
        return response
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)
