"""``GET /api/whoami``: an adapter of what a key may know of itself."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from techno.access.serializers import WHOAMI_RESPONSES
from techno.access.whoami import describe_caller
from techno.web.answers import Answer, answer, governed_of
from techno.web.permissions import AnyLiveKey
from techno.web.view import GovernedView


class WhoamiView(GovernedView):
    """Tells a key what it is."""

    action_name = "whoami"
    permission_classes = (AnyLiveKey,)

    @extend_schema(
        operation_id="whoami",
        summary="What the asking key is, and may do",
        responses=WHOAMI_RESPONSES,
        tags=["access"],
    )
    def get(self, request: Request) -> Answer:
        """Look, wrap."""
        return answer(request, describe_caller(governed_of(request).principal))
