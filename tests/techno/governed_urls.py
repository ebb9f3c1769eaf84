"""Addresses that exist only for ``test_governed_requests``: views as an app might add them."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from techno.access.decorators import require_api_key
from techno.governance.principal import Scope
from techno.urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

STATUSES = {"teapot": 418, "moved": 302, "created": 201, "gone": 410, "busy": 503, "bad": 400}


def answer_with(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(b"nobody shall see this", status=STATUSES[name])


def crash(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("password=hunter2 in /var/lib/secret.py")


def forbid(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied("the reason is secret")


def hide(request: HttpRequest) -> HttpResponse:
    raise Http404("the reason is secret")


@require_api_key(Scope.AUDIT_READ)
def guarded(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"who": request.principal.identity})  # type: ignore[attr-defined]


urlpatterns = [
    path("api/status/<str:name>", answer_with, name="status"),
    path("api/crash", crash, name="crash"),
    path("api/forbid", forbid, name="forbid"),
    path("api/hide", hide, name="hide"),
    path("api/post-only", require_POST(crash), name="post-only"),
    path("api/guarded", guarded, name="guarded"),
    path("plain/guarded", guarded, name="plain-guarded"),
]
