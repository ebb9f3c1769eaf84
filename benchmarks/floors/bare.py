"""Floors A and B: a bare Django view and a bare DRF view; no key, no row."""

from __future__ import annotations

from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="a floor has no secret",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="benchmarks.floors.bare",
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["benchmarks.floors.length.with_length"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
)

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

ANSWER = {"status": "ok", "used": 123456789, "available": 987654321}


def plain(request: HttpRequest) -> JsonResponse:
    """Floor A."""
    return JsonResponse(ANSWER)


class Bare(APIView):
    """Floor B."""

    def get(self, request: Any) -> Response:
        return Response(ANSWER)


urlpatterns = [path("a", plain), path("b", Bare.as_view())]
