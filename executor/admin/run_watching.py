"""Watching and stopping a run from its page: the live fragment, the whole output, the button.

Who looks at output is on record: one row for each page or file that showed some. A page that
was recorded carries a ticket, and its own looking again and again goes by that.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executor.cancelling import cancel_run
from executor.live_output import live_output
from executor.models import CommandRun, RunState
from executor.run_reader import NoSuchRun, stored_run
from techno.gate import conclude
from techno.governance.verdict import APPROVED
from techno.portal.visible_text import make_visible
from techno.web.person import act_of_person

OUTPUT_PERMISSION = "executor.view_output"
CANCEL_PERMISSION = "executor.cancel_commandrun"
REASON_LIMIT = 300
TICKET_S = 12 * 3600
_SALT = "executor.watching"


class CancelForm(forms.Form):
    """Why somebody stops a run."""

    reason = forms.CharField(
        label=_("Reason"), max_length=REASON_LIMIT, widget=forms.TextInput({"autocomplete": "off"})
    )


def may_see_output(request: HttpRequest) -> bool:
    """Whether this person may see what runs printed."""
    may: bool = request.user.has_perm(OUTPUT_PERMISSION)
    return may


def record_look(request: HttpRequest, execution_id: str, action: str, what: str) -> None:
    """Put on record that this person looks at a run's output.

    Raises ``audit.recorder.AuditUnavailable``; nothing may be shown then.
    """
    governed = act_of_person(request)
    governed.action, governed.execution_id = "run.output.read", execution_id
    governed.detail |= {"run_action": action, "as": what}
    conclude(governed, APPROVED)


def ticket(request: HttpRequest, execution_id: str) -> str:
    """Return what lets the page that was just recorded look again."""
    return signing.dumps([str(request.user.pk), execution_id], salt=_SALT)


def live_view(request: HttpRequest, identity: str) -> HttpResponse:
    """Return how far a run has come, and the end of its output for a page with a ticket."""
    run = CommandRun.objects.filter(execution_id=identity).only("state", "status").first()
    if run is None:
        raise Http404("no such run")
    told: dict[str, Any] = {"state": run.state, "label": str(RunState(run.state).label)}
    if run.state != RunState.ENDED and _is_valid(request, identity):
        told["streams"] = {
            each.name: {"text": make_visible(each.text), "cut": each.cut}
            for each in live_output(identity)
        }
    return JsonResponse(told, headers={"Cache-Control": "no-store"})


def _is_valid(request: HttpRequest, identity: str) -> bool:
    try:
        known = signing.loads(request.GET.get("ticket", ""), salt=_SALT, max_age=TICKET_S)
    except signing.BadSignature:
        return False
    return bool(known == [str(request.user.pk), identity]) and may_see_output(request)


def cancel_view(request: HttpRequest, identity: str) -> HttpResponse:
    """Stop a run with everything that it started, and go back to its page."""
    if not request.user.has_perm(CANCEL_PERMISSION):
        raise PermissionDenied
    back = HttpResponseRedirect(reverse("admin:executor_commandrun_change", args=[identity]))
    try:
        run = stored_run(identity)
    except NoSuchRun as error:
        raise Http404("no such run") from error
    form = CancelForm(request.POST)
    if not form.is_valid() or not form.cleaned_data["reason"].isprintable():
        messages.error(request, gettext("Say in one line why the run shall be stopped."))
        return back
    governed = act_of_person(request)
    governed.action, governed.execution_id = "run.cancel", identity
    governed.detail |= {"run_action": run.action, "reason": form.cleaned_data["reason"]}
    stopped = cancel_run(run, governed.principal, form.cleaned_data["reason"])
    conclude(governed, APPROVED if stopped.is_ended else stopped.verdict)
    if run.is_ended:
        messages.warning(request, gettext("The run had ended already."))
    elif stopped.is_ended:
        messages.success(request, gettext("The run was stopped."))
    else:
        messages.success(request, gettext("The run is being stopped."))
    return back
