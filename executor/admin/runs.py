"""Command runs: a list that never fetches output, and a page that shows the beginning of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left, Length
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from executor.models import CommandRun, RunState
from techno.governance.status import Status
from techno.portal.keyset import Keyset, KeysetPage
from techno.portal.ledger import LedgerAdmin
from techno.portal.ledger_filters import LedgerFilters, search_field
from techno.portal.panels import Panel, offer_panel
from techno.portal.references import Kind, link, offer

#: How much of a stream a page shows; the rest can be fetched as a file.
HEAD_CHARACTERS = 32_768
RUNNING_SHOWN = 10
STREAMS = {"stdout": _("output"), "stderr": _("error output")}
NEWEST_FIRST = Keyset("requested_at", "execution_id", salt="executor.runs")
_LISTED = (
    "execution_id",
    "trace_id",
    "action",
    "state",
    "status",
    "reason_codes",
    "principal_label",
    "key_prefix",
    "requested_at",
    "duration_ms",
    "exit_code",
    "signal",
    "host",
)


class RunFilters(LedgerFilters):
    """What runs can be narrowed by."""

    q = search_field(_("execution id or trace id"))
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[
            ("", _("Any status")),
            (RunState.RUNNING.value, RunState.RUNNING.label),
            *((status.value, status.value) for status in Status),
        ],
    )

    def narrow(self, runs: QuerySet[CommandRun]) -> QuerySet[CommandRun]:
        """Return the runs that the filters leave."""
        values = self.cleaned_data
        since, until = self.bounds()
        wanted = {
            "action": values["action"],
            "key_prefix": values["key"],
            "requested_at__gte": since,
            "requested_at__lt": until,
        }
        if values["status"] == RunState.RUNNING:
            wanted["state"] = RunState.RUNNING
        else:
            wanted["status"] = values["status"]
        wanted |= _sought(values["q"])
        return runs.filter(**{name: value for name, value in wanted.items() if value})


def _sought(q: str) -> dict[str, Any]:
    try:
        return {"trace_id": uuid.UUID(q)}
    except ValueError:
        return {"execution_id": q}


@dataclass(frozen=True, slots=True)
class Stream:
    """The beginning of what a run printed, and how long the whole is, in characters."""

    name: str
    title: Any
    head: str
    length: int

    @property
    def more(self) -> int:
        """How many characters are not shown."""
        return self.length - len(self.head)


@admin.register(CommandRun)
class CommandRunAdmin(LedgerAdmin):
    """Runs, and what they printed."""

    filters = RunFilters

    def read_page(self, form: LedgerFilters) -> KeysetPage[CommandRun]:
        """Return runs without their output, newest first. Raises ``keyset.BadCursor``."""
        assert isinstance(form, RunFilters)  # noqa: S101 - it is our own `filters`
        runs = form.narrow(CommandRun.objects.only(*_LISTED))
        return NEWEST_FIRST.page(runs, cursor=form.cleaned_data["cursor"], limit=self.page_limit)

    def read_entry(self, request: HttpRequest, identity: str) -> dict[str, Any] | None:
        """Return a run, the beginning of its output, and what it points to."""
        runs = CommandRun.objects.defer(*STREAMS).annotate(
            **{f"{name}_head": Left(name, HEAD_CHARACTERS) for name in STREAMS},
            **{f"{name}_length": Length(name) for name in STREAMS},
        )
        run = runs.filter(execution_id=identity).first()
        if run is None:
            return None
        return {
            "run": run,
            "running": run.state == RunState.RUNNING,
            "streams": [_stream(run, name) for name in STREAMS],
            "trace_url": link(request, Kind.TRACE, run.trace_id),
            "key_url": link(request, Kind.KEY, run.key_prefix),
            "action_url": link(request, Kind.ACTION, run.action),
        }

    def more_urls(self, name: str) -> list[URLPattern]:
        """Return the address of a whole stream."""
        view = self.admin_site.admin_view(require_safe(self.output_view))
        return [path("<str:identity>/<str:stream>.txt", view, name=f"{name}_output")]

    def output_view(self, request: HttpRequest, identity: str, stream: str) -> HttpResponse:
        """Send a whole stream as a file, byte for byte as it is kept. Raises ``Http404``."""
        self.require_view_permission(request)
        rows = CommandRun.objects.filter(execution_id=identity)
        kept = rows.values_list(stream, flat=True).first() if stream in STREAMS else None
        if kept is None:
            raise Http404("no such output")
        response = HttpResponse(kept.encode(), content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{identity}-{stream}.txt"'
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return response


def _stream(run: CommandRun, name: str) -> Stream:
    return Stream(
        name,
        STREAMS[name],
        getattr(run, f"{name}_head"),
        getattr(run, f"{name}_length"),
    )


def read_running() -> dict[str, Any]:
    """Return some of the runs that are under way, the longest first."""
    running = CommandRun.objects.filter(state=RunState.RUNNING).only(*_LISTED)
    return {"runs": list(running.order_by("requested_at")[:RUNNING_SHOWN])}


offer(Kind.RUN, CommandRun, by="execution_id")
offer_panel(Panel(20, CommandRun, "admin/executor/running_panel.html", read_running))
