"""A person's own pages that django-allauth does not have."""

from __future__ import annotations

from allauth.usersessions.internal.flows.sessions import end_sessions
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from techno.people.second_factor import has_second_factor, insists, lacks_second_factor


def overview(request: HttpRequest) -> HttpResponse:
    """Show somebody their own account."""
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - the view wants somebody signed in
    context = {
        "title": gettext("Your account"),
        "has_factor": has_second_factor(user),
        "lacks_factor": lacks_second_factor(request),
        "insists": insists(),
        "groups": list(user.groups.order_by("name").values_list("name", flat=True)),
        "password_is_here": user.has_usable_password(),
    }
    return TemplateResponse(request, "account/overview.html", context)


@login_required
@require_POST
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one session of one's own. Raises ``Http404`` for everybody else's."""
    session = get_object_or_404(UserSession, pk=session_id, user_id=request.user.pk)
    end_sessions(request, [session])
    messages.success(request, gettext("The session is ended."))
    return HttpResponseRedirect(reverse("usersessions_list"))
