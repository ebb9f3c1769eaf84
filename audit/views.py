"""``GET /api/audit``: an adapter of the audit reader."""

from __future__ import annotations

import orjson
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from audit.filters import AuditFilter, BadQuery, parse_query
from audit.models import AuditTrace
from audit.reader import fetch_logs
from techno.governance.principal import Scope
from techno.web.answers import answer
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
    def get(self, request: Request) -> Response:
        """Parse, read, wrap. The list goes out under two names and is rendered once."""
        try:
            query = parse_query(request.META.get("QUERY_STRING", ""))
        except BadQuery as error:
            raise ValidationError(str(error)) from error
        page = fetch_logs(query)
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


@extend_schema_view(get=extend_schema(deprecated=True, operation_id="audit_fetch"))
class FetchView(AuditView):
    """The older name of audit."""
