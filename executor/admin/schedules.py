"""Schedules: kept, paused, resumed and run by hand here; each act goes through the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from executor.admin.schedule_form import ScheduleForm
from executor.cron import upcoming
from executor.models import ActionSchedule, ScheduleFiring
from executor.requesters import RUN_PERMISSION
from executor.schedules import (
    add_schedule,
    change_schedule,
    delete_schedule,
    pause_schedule,
    resume_schedule,
    run_now,
)
from techno.portal import fragments
from techno.portal.fields import in_the_readers_language
from techno.portal.model_admin import PortalModelAdmin
from techno.portal.references import Kind, link
from techno.web.person import act_of_person

UPCOMING_SHOWN = 5
FIRINGS_SHOWN = 50
CHANGE, DELETE = "executor.change_actionschedule", "executor.delete_actionschedule"
RUN_NOW = "executor.run_schedule"


@admin.register(ActionSchedule)
class ActionScheduleAdmin(PortalModelAdmin):
    """Schedules. Whoever keeps one must be allowed to run actions: it runs them for them."""

    list_display = ("name", "state", "action", "when", "runs_as", "due")
    list_filter = ("enabled",)
    search_fields = ("name", "action")
    ordering = ("name",)
    actions = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever may keep schedules and run actions."""
        return super().has_add_permission(request) and request.user.has_perm(RUN_PERMISSION)

    @admin.display(description=_("state"), ordering="enabled")
    def state(self, schedule: ActionSchedule) -> SafeString:
        """Whether it fires."""
        if schedule.enabled:
            return fragments.state_badge("approved", gettext("active"))
        return fragments.state_badge("expired", gettext("paused"))

    @admin.display(description=_("cron expression"))
    def when(self, schedule: ActionSchedule) -> SafeString:
        """The expression and its zone."""
        return fragments.lines(fragments.code(schedule.expression), schedule.zone)

    @admin.display(description=_("runs as"))
    def runs_as(self, schedule: ActionSchedule) -> str:
        """Its key, or itself."""
        return schedule.key_prefix or gettext("itself")

    @admin.display(description=_("next due"), ordering="next_due_at")
    def due(self, schedule: ActionSchedule) -> SafeString:
        """When it fires next."""
        return fragments.moment(schedule.next_due_at)

    def get_urls(self) -> list[URLPattern]:
        """Return the usual addresses and those of what can be done to a schedule."""
        wrap = self.admin_site.admin_view
        done = [
            path(
                f"<int:pk>/{verb}/",
                wrap(require_POST(self._doing(verb))),
                name=f"executor_actionschedule_{verb}",
            )
            for verb in _VERBS
        ]
        return [*done, *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what the schedule shall be, and keep it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ScheduleForm(request.user, data=request.POST or None)
        if form.is_valid() and _kept(form, lambda: add_schedule(_act(request), form.plan())):
            messages.success(request, gettext("The schedule is saved."))
            return HttpResponseRedirect(reverse("admin:executor_actionschedule_changelist"))
        return self._page(request, "form", {"title": gettext("Add a schedule"), "form": form})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show a schedule, when it fires and fired, and change it."""
        schedule = self.get_object(request, object_id)
        if schedule is None:
            raise Http404("no such schedule")
        if not self.has_view_permission(request, schedule):
            raise PermissionDenied
        may_change = request.user.has_perms([CHANGE, RUN_PERMISSION])
        if request.method == "POST" and not may_change:
            raise PermissionDenied
        form = ScheduleForm(request.user, schedule, request.POST or None)
        if form.is_valid() and _kept(
            form, lambda: change_schedule(_act(request), schedule, form.plan())
        ):
            messages.success(request, gettext("The schedule is saved."))
            return HttpResponseRedirect(request.path)
        context = {"title": schedule.name, "form": form, "may_change": may_change}
        return self._page(request, "form", context | _told(request, schedule))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Removing goes by the button on the schedule's page."""
        raise Http404("schedules are removed on their page")

    def _doing(self, verb: str) -> Callable[..., HttpResponse]:
        permission, work, told = _VERBS[verb]

        def view(request: HttpRequest, pk: int) -> HttpResponse:
            if not request.user.has_perms([permission, RUN_PERMISSION]):
                raise PermissionDenied
            schedule = ActionSchedule.objects.filter(pk=pk).first()
            if schedule is None:
                raise Http404("no such schedule")
            fired = work(_act(request), schedule)
            if fired is not None and fired.verdict.failed:
                messages.error(request, gettext(fired.verdict.message))
            else:
                messages.success(request, told)
            if verb == "remove":
                return HttpResponseRedirect(reverse("admin:executor_actionschedule_changelist"))
            return HttpResponseRedirect(reverse("admin:executor_actionschedule_change", args=[pk]))

        return view


_act = act_of_person
_VERBS: dict[str, tuple[str, Callable[..., Any], Any]] = {
    "pause": (CHANGE, pause_schedule, _("The schedule is paused.")),
    "resume": (CHANGE, resume_schedule, _("The schedule fires again.")),
    "run_now": (RUN_NOW, run_now, _("The run is on its way.")),
    "remove": (DELETE, delete_schedule, _("The schedule is removed; its runs stay.")),
}


def _kept(form: ScheduleForm, keep: Callable[[], object]) -> bool:
    """Keep what a form says; what the service refuses is marked on the form."""
    try:
        keep()
    except ValidationError as error:
        for name, rules in error.error_dict.items():
            told = in_the_readers_language(ValidationError(rules))
            form.add_error(name if name in form.fields else None, told)
        return False
    return True


def _told(request: HttpRequest, schedule: ActionSchedule) -> dict[str, Any]:
    """Return when a schedule is due next, and what became of its firings."""
    zone = ZoneInfo(schedule.zone)
    following: list[tuple[Any, str]] = []
    if schedule.enabled:
        for moment in upcoming(schedule.expression, schedule.zone, timezone.now(), UPCOMING_SHOWN):
            following.append((moment, f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"))
    firings = ScheduleFiring.objects.filter(schedule=schedule.name)
    return {
        "schedule": schedule,
        "upcoming": following,
        "firings": list(firings.order_by("-fired_at", "-pk")[:FIRINGS_SHOWN]),
        "action_url": link(request, Kind.ACTION, schedule.action),
        "key_url": link(request, Kind.KEY, schedule.key_prefix),
    }
