"""``GET /api/audit``: an adapter of the audit reader."""

from __future__ import annotations

import orjson
from django.http import StreamingHttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from audit.filters import AuditFilter, BadQuery, parse_query
from audit.models import AuditTrace
from audit.reader import AuditQuery, fetch_logs
from audit.stream import MEDIA_TYPE, lines
from audit.tail import follow
from techno.governance.principal import Scope
from techno.governance.verdict import APPROVED
from techno.web.answers import Answer, answer
from techno.web.followers import followers
from techno.web.schema import AUDIT_RESPONSES
from techno.web.view import GovernedView


class AuditView(GovernedView):
    """Reads the audit log, newest first."""

    required_scope = Scope.AUDIT_READ
    action_name = "audit.read"
    # For the API's description only; reading goes through audit.reader.
    queryset = AuditTrace.objects.none()
    filterset_class = AuditFilter

    @extend_schema(
        operation_id="audit",
        summary="Read the audit log, newest first",
        responses=AUDIT_RESPONSES,
        tags=["audit"],
    )
    def get(self, request: Request) -> Answer | StreamingHttpResponse:
        """Parse, read, wrap. The list goes out under two names and is rendered once."""
        try:
            query = parse_query(request.META.get("QUERY_STRING", ""))
        except BadQuery as error:
            raise ValidationError(str(error)) from error
        if MEDIA_TYPE in request.META.get("HTTP_ACCEPT", ""):
            return self._stream(request, query)
        if query.wait_s is None:
            page = fetch_logs(query)
        else:
            page = follow(query, wait_s=query.wait_s, followers=followers())
        rendered = orjson.Fragment(orjson.dumps(page.entries))
        return answer(
            request,
            rendered,
            beside={
                "entries": rendered,
                "next": page.next,
                "previous": page.previous,
            },
        )

    @staticmethod
    def _stream(request: Request, query: AuditQuery) -> StreamingHttpResponse:
        """Answer with lines of JSON; without a limit, with all of them."""
        limited = "limit" in request.query_params
        response = StreamingHttpResponse(
            lines(query, most=query.limit if limited else None), content_type=MEDIA_TYPE
        )
        response.verdict = APPROVED  # type: ignore[attr-defined]
        return response


@extend_schema_view(get=extend_schema(deprecated=True, operation_id="audit_fetch"))
class FetchView(AuditView):
    """The older name of audit."""
