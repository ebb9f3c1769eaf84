"""Verifying the log from the portal: begin it, see how far it is, and how earlier ones ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from audit.models import Verification, VerificationOutcome, VerificationState
from audit.verification_requests import AlreadyAsked, ask
from techno.web.person import act_of_person

PERMISSION = "audit.verify_log"
TITLE = _("Verify")
EARLIER_SHOWN = 10
#: A verification that nobody has begun for so long waits for a keeper that is not there.
KEEPER_LATE_S = 15

Page = Callable[[HttpRequest, str, dict[str, Any]], HttpResponse]


@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest, list_title: str, page: Page) -> HttpResponse:
    """Show the page; a form that was sent begins a verification. Raises ``PermissionDenied``."""
    _require_permission(request)
    if request.method == "POST":
        try:
            ask(act_of_person(request))
        except AlreadyAsked:
            messages.warning(request, gettext("There is one already: wait for its end."))
        return HttpResponseRedirect(reverse("admin:audit_audittrace_verify"))
    present = Verification.objects.filter(open=True).first()
    ended = Verification.objects.filter(state=VerificationState.ENDED).order_by("-ended_at")
    context = {
        "title": TITLE,
        "list_title": list_title,
        "present": present,
        "progress": present and progress_text(present),
        "earlier": [_shown(each) for each in ended[:EARLIER_SHOWN]],
    }
    return page(request, "verify", context)


def progress_view(request: HttpRequest, identity: UUID) -> HttpResponse:
    """Return how far a verification has come, for the page that shows it."""
    _require_permission(request)
    found = Verification.objects.filter(pk=identity).first()
    if found is None:
        raise Http404("no such verification")
    told = {
        "state": found.state,
        "done": found.done,
        "total": found.total,
        "texts": {"progress": progress_text(found)},
    }
    return JsonResponse(told, headers={"Cache-Control": "no-store"})


def progress_text(verification: Verification) -> str:
    """Return how far it has come, in words."""
    if verification.state == VerificationState.WAITING:
        return gettext("Waiting for the keeper to begin.")
    if not verification.total:
        return gettext("Reading what was signed.")
    if verification.done >= verification.total:
        return gettext("All rows are hashed; the tree and the checkpoints are held against them.")
    return gettext("%(done)s of %(total)s rows are hashed, %(percent)d %%.") % {
        "done": number_format(verification.done, force_grouping=True),
        "total": number_format(verification.total, force_grouping=True),
        "percent": 100 * verification.done // verification.total,
    }


_BADGES = {
    VerificationOutcome.WHOLE: "approved",
    VerificationOutcome.DAMAGED: "blocked",
    VerificationOutcome.FAILED: "warning",
    VerificationOutcome.INTERRUPTED: "warning",
}


def _shown(verification: Verification) -> dict[str, Any]:
    """Return an ended verification as the page shows it."""
    outcome = VerificationOutcome(verification.outcome)
    return {
        "of": verification,
        "badge": _BADGES[outcome],
        "label": outcome.label,
        "is_damaged": outcome is VerificationOutcome.DAMAGED,
        "is_unfinished": outcome in (VerificationOutcome.FAILED, VerificationOutcome.INTERRUPTED),
        **verification.result,
    }


def _require_permission(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
