"""The audit log in the portal: an adapter of ``audit.reader``, like the API's."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from audit.admin import exporting, verifying
from audit.models import AuditLog, AuditTrace
from audit.odd_times import within_calendar
from audit.proof_page import read_proof
from audit.reader import AuditQuery, BadCursor, fetch_logs, fetch_unapproved
from techno.governance.reason_codes import ReasonCode
from techno.portal import keyset
from techno.portal.guard import routine
from techno.portal.keyset import KeysetPage
from techno.portal.ledger import LedgerAdmin, portal_rows
from techno.portal.ledger_filters import LedgerFilters, search_field, text_field
from techno.portal.navigation import Page, offer_page
from techno.portal.panels import Panel, offer_panel
from techno.portal.references import Kind, link, offer

UNAPPROVED_SHOWN = 12
UNAPPROVED_PERIOD = timedelta(days=1)
#: What traces are called that belong to no registered action.
FIXED_ACTIONS = ("audit.read", "execute", "external", "memory.read", "metrics.read", "unknown")
_EXECUTION_ID = re.compile(r"run_[0-9a-f]{32}")
PROOF_TITLE = _("Proof")
#: The contract's columns, which a trace and its row in audit_logs both have.
SHARED_COLUMNS = ("timestamp", "reason_codes", "session_id", "user_ip")


class TraceFilters(LedgerFilters):
    """What traces can be narrowed by."""

    q = search_field(_("trace id, execution id or session"))
    reason_code = forms.ChoiceField(
        label=_("Reason code"),
        required=False,
        choices=[("", _("Any code")), *((code.code, code.code) for code in ReasonCode)],
    )
    session_id = text_field(_("Session"))
    user_ip = text_field(_("Address"))

    main = ("q", "period", "status", "reason_code", "action", "key")
    more = ("since", "until", "session_id", "user_ip")
    fixed_actions = FIXED_ACTIONS

    def queries(self) -> list[AuditQuery]:
        """Return the questions to ask in turn, until one has an answer.

        A search by identity is one question; only what looks like one of our execution ids may
        also be the name that a caller gave to a session.
        """
        q = self.cleaned_data["q"]
        if not q:
            return [self._query()]
        try:
            return [self._query(trace_id=str(uuid.UUID(q)))]
        except ValueError:
            pass
        by_session = self._query(session_id=q)
        if _EXECUTION_ID.fullmatch(q):
            return [self._query(execution_id=q), by_session]
        return [by_session]

    def _query(self, **sought: Any) -> AuditQuery:
        values = self.cleaned_data
        since, until = self.bounds()
        names = ("status", "reason_code", "action", "session_id", "user_ip", "key", "cursor")
        fields = {name: values[name] for name in names}
        return AuditQuery(**{**fields, "since": since, "until": until, **sought})


@admin.register(AuditTrace)
class AuditTraceAdmin(LedgerAdmin):
    """Traces: the list that the API serves, and everything that is known of one."""

    filters = TraceFilters

    def read_page(self, form: LedgerFilters) -> KeysetPage[dict[str, Any]]:
        """Return entries of the log, newest first. Raises ``keyset.BadCursor``."""
        assert isinstance(form, TraceFilters)  # noqa: S101 - it is our own `filters`
        try:
            for query in form.queries():
                page = fetch_logs(query, ask=portal_rows)
                if page.entries:
                    break
        except BadCursor as error:
            raise keyset.BadCursor(str(error)) from error
        return KeysetPage(page.entries, page.next or "")

    def read_entry(self, request: HttpRequest, identity: str) -> dict[str, Any] | None:
        """Return a trace, how its row in the contract's table compares, and what it points to."""
        try:
            trace = _find(AuditTrace, uuid.UUID(identity))
        except ValueError:
            return None
        if trace is None:
            return None
        return {
            "trace": trace,
            "differences": differences(trace),
            "run_url": link(request, Kind.RUN, trace.execution_id),
            "key_url": link(request, Kind.KEY, trace.key_prefix),
            "action_url": link(request, Kind.ACTION, trace.action),
        }

    def more_urls(self, name: str) -> list[URLPattern]:
        """Return the pages about the proof, verifying and exporting."""
        wrap = self.admin_site.admin_view
        return [
            path("proof/", wrap(require_safe(self.proof_view)), name=f"{name}_proof"),
            path("verify/", wrap(self.verify_view), name=f"{name}_verify"),
            path(
                "verify/<uuid:identity>/",
                wrap(require_safe(verifying.progress_view)),
                name=f"{name}_verify_progress",
            ),
            path("export/", wrap(self.export_view), name=f"{name}_export"),
        ]

    def proof_view(self, request: HttpRequest) -> HttpResponse:
        """Show the newest checkpoint, the public keys, and what waits."""
        self.require_view_permission(request)
        context = {
            "title": PROOF_TITLE,
            "list_title": self._list_title(),
            **read_proof(),
        }
        return self._page(request, "proof", context)

    @routine  # it reads, and changes nothing that anybody has
    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Show verifications and how they ended; begin one."""
        return verifying.answer(request, self._list_title(), self._page)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Ask for which time, and send the bundle."""
        return exporting.answer(request, self._list_title(), self._page)

    def _list_title(self) -> str:
        return capfirst(str(self.opts.verbose_name_plural))


_Row = TypeVar("_Row", AuditTrace, AuditLog)


def _find(model: type[_Row], trace_id: uuid.UUID) -> _Row | None:
    """Return a row, its time within the calendar: Python has no name for other times."""
    columns = ", ".join(
        f'{within_calendar(name)} AS "timestamp"' if name == '"timestamp"' else name
        for name in (f'"{field.column}"' for field in model._meta.concrete_fields)
    )
    table = model._meta.db_table
    rows = model.objects.raw(
        f'SELECT {columns} FROM "{table}" WHERE trace_id = %s',  # noqa: S608 - names of ours
        [trace_id],
    )
    return next(iter(rows), None)


def differences(trace: AuditTrace) -> list[str] | None:
    """Return the columns in which the row in ``audit_logs`` tells something else.

    ``None`` when there is no such row. An adopted table with narrower texts holds the beginning
    of a long one, which is no difference.
    """
    row = _find(AuditLog, trace.trace_id)
    if row is None:
        return None
    same: dict[str, Callable[[Any, Any], bool]] = {
        "session_id": str.startswith,
        "user_ip": str.startswith,
    }
    found = []
    for column in SHARED_COLUMNS:
        ours, theirs = getattr(trace, column), getattr(row, column)
        if ours != theirs and not (theirs and same.get(column, _never)(ours, theirs)):
            found.append(column)
    return found


def _never(ours: Any, theirs: Any) -> bool:
    return False


def read_unapproved() -> dict[str, Any]:
    """Return the newest traces of the last day that need a look."""
    since = timezone.now() - UNAPPROVED_PERIOD
    entries = fetch_unapproved(since=since, limit=UNAPPROVED_SHOWN, ask=portal_rows)
    silent = not entries and not fetch_logs(AuditQuery(limit=1), ask=portal_rows).entries
    return {"entries": entries, "silent": silent}


offer(Kind.TRACE, AuditTrace, by="trace_id")
offer_panel(Panel(10, AuditTrace, "admin/audit/unapproved_panel.html", read_unapproved))
offer_page(Page(AuditTrace, PROOF_TITLE, "admin:audit_audittrace_proof"))
offer_page(Page(AuditTrace, verifying.TITLE, "admin:audit_audittrace_verify", verifying.PERMISSION))
offer_page(Page(AuditTrace, exporting.TITLE, "admin:audit_audittrace_export", exporting.PERMISSION))
