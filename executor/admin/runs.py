"""Command runs: a list that never fetches output, and a page that shows the beginning of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Left, Length
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from executor.admin.run_form import answer_new, choose_context
from executor.admin.run_watching import (
    CANCEL_PERMISSION,
    CancelForm,
    cancel_view,
    live_view,
    may_see_output,
    record_look,
    ticket,
)
from executor.live_output import live_output
from executor.models import Approval, CommandRun, RunState
from executor.output_removal import days_kept
from techno.governance.status import Status
from techno.portal.guard import routine
from techno.portal.keyset import Keyset, KeysetPage
from techno.portal.ledger import LedgerAdmin
from techno.portal.ledger_filters import LedgerFilters, search_field
from techno.portal.panels import Panel, offer_panel
from techno.portal.references import Kind, link, offer

#: How much of a stream a page shows; the rest can be fetched as a file.
HEAD_CHARACTERS = 32_768
RUNNING_SHOWN = 10
STREAMS = {"stdout": _("output"), "stderr": _("error output")}
UNENDED = (RunState.WAITING, RunState.QUEUED, RunState.RUNNING)
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
            *((state.value, state.label) for state in UNENDED),
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
        if values["status"] in UNENDED:
            wanted["state"] = values["status"]
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
        unended, may_see = run.state in UNENDED, may_see_output(request)
        streams = [_stream(run, name) for name in STREAMS]
        watched = unended and may_see
        if may_see and (watched or any(stream.length for stream in streams)):
            record_look(request, run.execution_id, run.action, "page")
        waits = Approval.objects.filter(execution_id=identity).exists()
        return {
            "run": run,
            "running": run.state == RunState.RUNNING,
            "unended": unended,
            "may_see_output": may_see,
            "ticket": ticket(request, identity) if watched else "",
            "live": live_output(identity) if watched else [],
            "cancel_form": CancelForm(label_suffix="")
            if unended and request.user.has_perm(CANCEL_PERMISSION)
            else None,
            "approval_url": reverse("admin:executor_approval_change", args=[identity])
            if waits
            else "",
            "streams": streams,
            "days_kept": days_kept(run.ended_at, run.output_removed_at)
            if run.output_removed_at
            else None,
            "trace_url": link(request, Kind.TRACE, run.trace_id),
            "key_url": link(request, Kind.KEY, run.key_prefix),
            "action_url": link(request, Kind.ACTION, run.action),
        }

    def more_urls(self, name: str) -> list[URLPattern]:
        """Return the addresses of running an action, and of a run's parts."""
        wrap = self.admin_site.admin_view
        return [
            path("new/", wrap(require_safe(self.choose_view)), name=f"{name}_choose"),
            path("new/<str:action>/", wrap(self.new_view), name=f"{name}_new"),
            path(
                "<str:identity>/<str:stream>.txt",
                wrap(require_safe(self.output_view)),
                name=f"{name}_output",
            ),
            path("<str:identity>/live/", wrap(require_safe(self.live_view)), name=f"{name}_live"),
            path(
                "<str:identity>/cancel/",
                wrap(routine(require_POST(cancel_view))),
                name=f"{name}_cancel",
            ),
        ]

    def live_view(self, request: HttpRequest, identity: str) -> HttpResponse:
        """Say how far a run has come. Raises ``Http404``."""
        self.require_view_permission(request)
        return live_view(request, identity)

    def choose_view(self, request: HttpRequest) -> HttpResponse:
        """Show which actions there are to run."""
        return self._page(request, "choose", choose_context(request))

    def new_view(self, request: HttpRequest, action: str) -> HttpResponse:
        """Ask for an action's parameters, and run it. Raises ``Http404``."""
        found = answer_new(request, action)
        if isinstance(found, HttpResponse):
            return found
        return self._page(request, "new", found)

    def output_view(self, request: HttpRequest, identity: str, stream: str) -> HttpResponse:
        """Send a whole stream as a file, byte for byte as it is kept. Raises ``Http404``."""
        self.require_view_permission(request)
        if not may_see_output(request):
            raise PermissionDenied
        rows = CommandRun.objects.filter(execution_id=identity)
        wanted = (stream, "action", "output_removed_at")
        found = rows.values_list(*wanted).first() if stream in STREAMS else None
        if found is None or found[2] is not None:  # no page leads to what was removed
            raise Http404("no such output")
        kept, action, _removed_at = found
        record_look(request, identity, action, f"{stream} file")
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
