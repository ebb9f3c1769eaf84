"""Approvals: what waits for people first, and one page for each, where it is decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from executor.approval_decisions import current_approval, decide_run, object_to_person
from executor.approval_models import REASON_LIMIT, Approval, ApprovalState
from executor.approval_reads import PendingApproval
from executor.approvers import APPROVE_PERMISSION, approver_of
from techno.portal.keyset import Keyset, KeysetPage
from techno.portal.ledger import LedgerAdmin
from techno.portal.ledger_filters import LedgerFilters, search_field
from techno.portal.panels import Panel, offer_panel
from techno.portal.references import Kind, link
from techno.web.person import act_of_person

PENDING_MOST = 50
NEWEST_FIRST = Keyset("requested_at", "execution_id", salt="executor.approvals")
STATE_COLOURS = {
    ApprovalState.WAITING: "neutral",
    ApprovalState.APPROVED: "approved",
    ApprovalState.REFUSED: "blocked",
    ApprovalState.LAPSED: "expired",
    ApprovalState.VOID: "blocked",
    ApprovalState.WITHDRAWN: "expired",
}


class ApprovalFilters(LedgerFilters):
    """What approvals can be narrowed by."""

    q = search_field(_("execution id"))
    state = forms.ChoiceField(
        label=_("State"),
        required=False,
        choices=[("", _("Any state")), *ApprovalState.choices],
    )
    main = ("q", "period", "state", "action")

    def narrow(self, approvals: QuerySet[Approval]) -> QuerySet[Approval]:
        """Return the approvals that the filters leave."""
        values = self.cleaned_data
        since, until = self.bounds()
        wanted = {
            "execution_id": values["q"],
            "state": values["state"],
            "action": values["action"],
            "requested_at__gte": since,
            "requested_at__lt": until,
        }
        return approvals.filter(**{name: value for name, value in wanted.items() if value})


class DecisionForm(forms.Form):
    """Why somebody approves or refuses."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_LIMIT,
        help_text=_("One line. It goes on record, and the requester reads it."),
        widget=forms.TextInput({"autocomplete": "off"}),
    )


@admin.register(Approval)
class ApprovalAdmin(LedgerAdmin):
    """Approvals. Whether somebody may decide is the rule of the service, not of the page."""

    filters = ApprovalFilters

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may see approvals, or decide about them."""
        may_decide: bool = request.user.has_perm(APPROVE_PERMISSION)
        return may_decide or super().has_view_permission(request, obj)

    def read_page(self, form: LedgerFilters) -> KeysetPage[Approval]:
        """Return approvals, newest first. Raises ``keyset.BadCursor``."""
        assert isinstance(form, ApprovalFilters)  # noqa: S101 - it is our own `filters`
        approvals = form.narrow(Approval.objects.all())
        page = NEWEST_FIRST.page(
            approvals, cursor=form.cleaned_data["cursor"], limit=self.page_limit
        )
        return KeysetPage([_coloured(each) for each in page.rows], page.older)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what waits, then the page of the list."""
        response: Any = super().changelist_view(request, extra_context)
        plain = not response.context_data["form"].narrowed
        response.context_data |= read_pending() if plain else {}
        return response  # type: ignore[no-any-return]

    def read_entry(self, request: HttpRequest, identity: str) -> dict[str, Any] | None:
        """Return an approval as it is now, and what this person may do about it."""
        standing = current_approval(identity)
        approval = Approval.objects.filter(execution_id=identity).first()
        if approval is None or standing is None:
            return None
        objection = object_to_person(standing, approver_of(request.user))
        return {
            "approval": _coloured(approval),
            "decisions": standing.decisions,
            "open": standing.is_open,
            "may_decide": standing.is_open and objection is None,
            "objection": gettext(objection.message) if objection is not None else "",
            "left": time_left(standing),
            "decision_form": DecisionForm(label_suffix=""),
            "run_url": link(request, Kind.RUN, identity),
            "trace_url": link(request, Kind.TRACE, approval.trace_id),
            "action_url": link(request, Kind.ACTION, approval.action),
        }

    def more_urls(self, name: str) -> list[URLPattern]:
        """Return the address to which decisions are sent."""
        view = self.admin_site.admin_view(require_POST(self.decide_view))
        return [path("<str:identity>/decide/", view, name=f"{name}_decide")]

    def decide_view(self, request: HttpRequest, identity: str) -> HttpResponse:
        """Approve or refuse, and go back to the page. Raises ``Http404``."""
        if not request.user.has_perm(APPROVE_PERMISSION):
            raise PermissionDenied
        if request.POST.get("decision") not in ("approve", "refuse"):
            raise Http404("no such decision")
        if not Approval.objects.filter(execution_id=identity).exists():
            raise Http404("no such approval")
        approve = request.POST["decision"] == "approve"
        verdict = decide_run(
            act_of_person(request),
            identity,
            approver_of(request.user),
            approve=approve,
            reason=request.POST.get("reason", ""),
        )
        if verdict.approved:
            told = gettext("You approved the run.") if approve else gettext("You refused the run.")
            messages.success(request, told)
        else:
            messages.error(request, gettext(verdict.message))
        return HttpResponseRedirect(reverse("admin:executor_approval_change", args=[identity]))


def _coloured(approval: Approval) -> Approval:
    """Return the approval with what its state looks like; one that is past its time is lapsed."""
    state = ApprovalState(approval.state)
    if state is ApprovalState.WAITING and approval.expires_at <= timezone.now():
        state = ApprovalState.LAPSED
    approval.colour, approval.told = STATE_COLOURS[state], state.label  # type: ignore[attr-defined]
    return approval


def time_left(approval: PendingApproval) -> str:
    """Return how long people still have, in words."""
    left = max(timedelta(), approval.expires_at - timezone.now())
    minutes = int(left.total_seconds()) // 60
    if minutes >= 120:
        return ngettext("%d hour left", "%d hours left", minutes // 60) % (minutes // 60)
    return ngettext("%d minute left", "%d minutes left", minutes) % minutes


def read_pending() -> dict[str, Any]:
    """Return some of what waits for people, what lapses first first."""
    waiting = Approval.objects.filter(state=ApprovalState.WAITING, expires_at__gt=timezone.now())
    return {"pending": list(waiting.order_by("expires_at")[:PENDING_MOST])}


offer_panel(Panel(15, Approval, "admin/executor/pending_panel.html", read_pending))
