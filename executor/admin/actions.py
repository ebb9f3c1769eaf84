"""Actions: registered here or in a file, switched on and off here."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executor.action_changes import delete_action, save_action, switch_action
from executor.admin.action_form import ActionForm
from executor.definitions import FIELDS
from executor.models import Action, ActionVersion
from techno.acts import differences
from techno.portal import fragments
from techno.portal.model_admin import PortalModelAdmin
from techno.portal.references import Kind, link, offer
from techno.portal.visible_text import make_line
from techno.web.person import act_of_person

OWN_SOURCE = "portal"
VERSIONS_SHOWN = 20
_PROGRAM_LENGTH_SHOWN = 200


@admin.register(Action)
class ActionAdmin(PortalModelAdmin):
    """Actions. What came from a file is changed in that file, save whether it is enabled."""

    form = ActionForm
    records_itself = True
    list_display = ("name", "switch", "what", "limit", "source", "changed")
    list_filter = ("enabled",)
    search_fields = ("name", "description")
    ordering = ("name",)
    actions = ("enable_selected", "disable_selected")
    fieldsets = (
        (None, {"fields": ("name", "description", "enabled")}),
        (_("What runs"), {"fields": ("argv", "parameters", "environment", "working_directory")}),
        (_("Limits"), {"fields": ("timeout_s", "output_limit_bytes", "isolation")}),
        (_("How many"), {"fields": ("max_running", "max_queued", "when_full")}),
        (_("Where"), {"fields": ("is_async", "queue")}),
        (
            _("Approval"),
            {
                "fields": (
                    "approvals_needed",
                    "approver_groups",
                    "approval_ttl_s",
                    "reason_pattern",
                )
            },
        ),
        (_("Origin"), {"fields": ("source", "version", "created", "changed")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Action | None = None) -> Any:
        """What is not there yet has no origin."""
        found = super().get_fieldsets(request, obj)
        return found if obj is not None else found[:-1]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Action | None = None
    ) -> tuple[str, ...]:
        """A name stays, because history tells of it; a file's fields belong to the file."""
        always = ("source", "version", "created", "changed")
        if obj is None:
            return always
        return (*always, "name", *(FIELDS if obj.source != OWN_SOURCE else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Action | None = None) -> bool:
        """What a file brings would come back at the next start: disable it instead."""
        if obj is not None and obj.source != OWN_SOURCE:
            return False
        return super().has_delete_permission(request, obj)

    # -- what is shown -----------------------------------------------------------------------

    @admin.display(description=_("enabled"), ordering="enabled")
    def switch(self, action: Action) -> SafeString:
        """Whether the action may run."""
        if action.enabled:
            return fragments.state_badge("approved", gettext("enabled"))
        return fragments.state_badge("expired", gettext("disabled"))

    @admin.display(description=_("what it does"))
    def what(self, action: Action) -> SafeString:
        """The description, and the beginning of what runs, as one would type it."""
        program = fragments.code(shlex.join(action.argv), most=_PROGRAM_LENGTH_SHOWN)
        return fragments.lines(make_line(action.description), program)

    @admin.display(description=_("time limit"), ordering="timeout_s")
    def limit(self, action: Action) -> str:
        """The time limit."""
        return f"{action.timeout_s:g} s"

    @admin.display(description=_("created"), ordering="created_at")
    def created(self, action: Action) -> SafeString:
        """When it was registered."""
        return fragments.moment(action.created_at)

    @admin.display(description=_("changed"), ordering="updated_at")
    def changed(self, action: Action) -> SafeString:
        """When it was changed last."""
        return fragments.moment(action.updated_at)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show an action, and what it said before."""
        action = self.get_object(request, object_id)
        versions = _versions(request, action.name) if action is not None else []
        shown = {"action_versions": versions, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, shown)

    # -- what is done ------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: Action, form: Any, change: bool) -> None:
        """Save, as an act with its row and its version."""
        save_action(act_of_person(request), obj)

    def delete_model(self, request: HttpRequest, obj: Action) -> None:
        """Delete, as an act with its row."""
        delete_action(act_of_person(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Action]) -> None:
        """Delete each, as an act of its own."""
        for action in queryset:
            delete_action(act_of_person(request), action)

    @admin.action(description=_("Enable selected actions"), permissions=["change"])
    def enable_selected(self, request: HttpRequest, chosen: QuerySet[Action]) -> None:
        """Let actions run."""
        count = self._switch(request, chosen, enabled=True)
        told = ngettext("%d action is enabled.", "%d actions are enabled.", count) % count
        self.message_user(request, told, messages.SUCCESS)

    @admin.action(description=_("Disable selected actions"), permissions=["change"])
    def disable_selected(self, request: HttpRequest, chosen: QuerySet[Action]) -> None:
        """Keep actions from running; what runs already is left alone."""
        count = self._switch(request, chosen, enabled=False)
        told = ngettext("%d action is disabled.", "%d actions are disabled.", count) % count
        self.message_user(request, told, messages.SUCCESS)

    def _switch(self, request: HttpRequest, chosen: QuerySet[Action], *, enabled: bool) -> int:
        """Switch actions and note who did it; return how many there are of them now."""
        actions = list(chosen)
        for action in actions:
            if switch_action(act_of_person(request), action.name, enabled=enabled):
                self.log_change(request, action, [{"changed": {"fields": ["enabled"]}}])
        return len(actions)


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version of an action, and how it differs from the one before it."""

    version: int
    changed: SafeString
    trace_url: str
    changes: list[tuple[str, Any, Any]]


def _versions(request: HttpRequest, name: str) -> list[ShownVersion]:
    """Return the newest versions of an action, the newest first."""
    kept = list(
        ActionVersion.objects.filter(action=name).order_by("-version")[: VERSIONS_SHOWN + 1]
    )
    older = [*(one.snapshot for one in kept[1:]), {}]
    return [
        ShownVersion(
            one.version,
            fragments.moment_by(one.changed_at, one.changed_by),
            link(request, Kind.TRACE, one.trace_id) if one.trace_id else "",
            _changes(before, one.snapshot) if before else [],
        )
        for one, before in list(zip(kept, older, strict=False))[:VERSIONS_SHOWN]
    ]


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    found = differences(before, after)
    names = dict.fromkeys(name.partition(".")[2] for name in found)
    return [(name, found.get(f"before.{name}"), found.get(f"after.{name}")) for name in names]


offer(Kind.ACTION, Action, by="name")
