"""The two usual ways to list a hundred audit rows, on the very rows that the service wrote.

Neither checks a key nor leaves a row of its own: they only read.
"""

from __future__ import annotations

import json
import os
from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="a floor has no secret",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="benchmarks.floors.readers",
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["benchmarks.floors.length.with_length"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "CONN_MAX_AGE": None,
            **json.loads(os.environ["FLOOR_DATABASE"]),
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
    USE_TZ=True,
)

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()

from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402
from rest_framework.pagination import CursorPagination  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

ROWS = 100
NEWEST = ("-timestamp", "-trace_id")


class Entry(models.Model):
    """The columns of the service's audit entries."""

    trace_id = models.UUIDField(primary_key=True)
    timestamp = models.DateTimeField()
    reason_codes = models.JSONField()
    session_id = models.TextField()
    user_ip = models.TextField()
    status = models.TextField()
    action = models.TextField()
    http_status = models.SmallIntegerField(null=True)
    duration_ms = models.IntegerField(null=True)
    key_prefix = models.TextField()
    execution_id = models.TextField(null=True)

    class Meta:
        app_label = "readers"
        db_table = "audit_traces"
        managed = False


FIELDS = tuple(field.name for field in Entry._meta.fields)


class Values(APIView):
    """Written by hand for speed: no model instance, no serializer, no pages."""

    def get(self, request: Any) -> Response:
        return Response(list(Entry.objects.order_by(*NEWEST).values(*FIELDS)[:ROWS]))


class EntrySerializer(ModelSerializer):
    class Meta:
        model = Entry
        fields = FIELDS


class Newest(CursorPagination):
    page_size = ROWS
    ordering = NEWEST


class Paged(ListAPIView):
    """The framework's own way."""

    queryset = Entry.objects.all()
    serializer_class = EntrySerializer
    pagination_class = Newest


urlpatterns = [path("values", Values.as_view()), path("paged", Paged.as_view())]
