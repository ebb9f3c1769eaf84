"""Exporting the log from the portal: a bundle that can be verified without us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from audit.bundle import BundleError
from audit.checkpoints import DatabaseRefused
from audit.export import NothingToExport
from audit.export_stream import BundleStream, TooManyExports, plan_export
from audit.note import NoteError
from audit.sealer import RowMissing
from techno.gate import conclude
from techno.governance.trace import iso
from techno.governance.verdict import APPROVED
from techno.portal.fields import MomentField
from techno.web.person import act_of_person

log = structlog.get_logger(__name__)
PERMISSION = "audit.export_audittrace"
TITLE = _("Export")
ACTION = "audit.export"

Page = Callable[[HttpRequest, str, dict[str, Any]], HttpResponse]


class ExportForm(forms.Form):
    """Which time is exported; everything without one."""

    since = MomentField(label=_("From"), required=False)
    until = MomentField(label=_("Until"), required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse a time that ends before it begins."""
        values = super().clean() or {}
        since, until = values.get("since"), values.get("until")
        if since and until and until <= since:
            self.add_error("until", _("This is not after the beginning."))
        return values


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, list_title: str, page: Page) -> HttpResponseBase:
    """Show the form, or send the bundle that it asks for, with the export on record before.

    Raises ``PermissionDenied``, and ``AuditUnavailable``: nothing is exported then.
    """
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = ExportForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        bundle = _bundle(request, form)
        if bundle is not None:
            return bundle
    return page(request, "export", {"title": TITLE, "list_title": list_title, "form": form})


def _bundle(request: HttpRequest, form: ExportForm) -> StreamingHttpResponse | None:
    """Return the download, or say in the form why there is none."""
    since, until = form.cleaned_data["since"], form.cleaned_data["until"]
    try:
        planned = plan_export(since, until)
        pieces = BundleStream(planned, since, until)
    except NothingToExport:
        form.add_error(None, gettext("No sealed row is of this time; choose another."))
        return None
    except TooManyExports:
        form.add_error(
            None, gettext("Other exports are being written; try again when they are done.")
        )
        return None
    except (BundleError, DatabaseRefused, NoteError, RowMissing, psycopg.Error, OSError) as error:
        log.error("an export could not begin", exc_info=error)
        form.add_error(
            None,
            gettext("The log cannot be exported now: %(cause)s. The service's log says more.")
            % {"cause": type(error).__name__},
        )
        return None
    governed = act_of_person(request)
    governed.action = ACTION
    governed.detail.update(
        since=since and iso(since),
        until=until and iso(until),
        first_leaf=planned.first,
        rows=planned.end - planned.first,
    )
    try:
        conclude(governed, APPROVED)
    except BaseException:
        pieces.close()
        raise
    name = f"audit-{timezone.now():%Y%m%dT%H%M%SZ}.zip"
    return StreamingHttpResponse(
        pieces,
        content_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Trace-Id": governed.trace.trace_id,
        },
    )
