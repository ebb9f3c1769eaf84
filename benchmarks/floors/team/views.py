"""Memory figures, as a team would serve them."""

from __future__ import annotations

from typing import Any

import psutil
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_api_key.permissions import HasAPIKey, KeyParser

from benchmarks.floors.team.models import AuditRow


class HeaderKeyParser(KeyParser):
    """Reads X-API-Key, as ours does."""

    keyword = None

    def get(self, request: Any) -> str | None:
        return request.META.get("HTTP_X_API_KEY")


class HeaderKey(HasAPIKey):
    """The library's permission, on that header."""

    key_parser = HeaderKeyParser()


class Memory(APIView):
    """Floor T."""

    permission_classes = (HeaderKey,)

    def get(self, request: Any) -> Response:
        row = AuditRow.objects.create(user_ip=request.META.get("REMOTE_ADDR", ""))
        memory = psutil.virtual_memory()
        return Response(
            {
                "status": "APPROVED",
                "trace_id": str(row.trace_id),
                "used": memory.used,
                "available": memory.available,
            }
        )
