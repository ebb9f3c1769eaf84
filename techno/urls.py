"""Every address of the service. Each adapter stands here next to its engine."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from audit.views import AuditView
from diagnostics.views import MemoryView, MetricsView, health, prometheus
from executor.runs import last_run
from executor.views import ExecuteView


class ProcessView(ExecuteView):
    """The older name of execute."""


class FetchView(AuditView):
    """The older name of audit."""


_deprecated_execute = extend_schema(deprecated=True, operation_id="process")(ProcessView)
_deprecated_audit = extend_schema(deprecated=True, operation_id="audit_fetch")(FetchView)

api = [
    path("", include("executor.urls")),
    path("", include("audit.urls")),
    path("memory", MemoryView.as_view(last_run=staticmethod(last_run)), name="memory"),
    path("diagnostic/metrics", MetricsView.as_view(), name="diagnostic-metrics"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("schema/swagger/", SpectacularSwaggerView.as_view(url_name="schema"), name="swagger"),
    path("schema/redoc/", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
]

urlpatterns = [
    path("api/", include(api)),
    path("process", _deprecated_execute.as_view(), name="process"),
    path("audit/fetch", _deprecated_audit.as_view(), name="audit-fetch"),
    path("metrics", prometheus, name="prometheus"),
    path("health", health, name="health"),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
]
