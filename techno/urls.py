"""Every address of the service. Each adapter stands here next to its engine."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from audit.views import FetchView
from diagnostics.views import MemoryView, MetricsView, health, prometheus
from executor.runs import last_run
from executor.views import ProcessView
from techno.access.views import WhoamiView
from techno.web.reference_views import RedocPage, SwaggerPage

api: list[URLPattern | URLResolver] = [
    path("", include("executor.urls")),
    path("", include("audit.urls")),
    path("whoami", WhoamiView.as_view(), name="whoami"),
    path("memory", MemoryView.as_view(last_run=staticmethod(last_run)), name="memory"),
    path("diagnostic/metrics", MetricsView.as_view(), name="diagnostic-metrics"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("schema/swagger/", SwaggerPage.as_view(url_name="schema"), name="swagger"),
    path("schema/redoc/", RedocPage.as_view(url_name="schema"), name="redoc"),
]

urlpatterns = [
    path("api/", include(api)),
    path("process", ProcessView.as_view(), name="process"),
    path("audit/fetch", FetchView.as_view(), name="audit-fetch"),
    path("metrics", prometheus, name="prometheus"),
    path("health", health, name="health"),
    path("account/", include("techno.people.urls")),
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
]

handler400 = "techno.web.error_pages.bad_request"
handler403 = "techno.web.error_pages.permission_denied"
handler404 = "techno.web.error_pages.page_not_found"
handler429 = "techno.web.error_pages.too_many_requests"
handler500 = "techno.web.error_pages.server_error"
