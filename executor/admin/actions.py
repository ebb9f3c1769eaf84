"""Actions: registered here or in a file, switched on and off here."""

from __future__ import annotations

import shlex
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executor.models import Action
from techno.portal import fragments
from techno.portal.model_admin import PortalModelAdmin
from techno.portal.references import Kind, offer
from techno.portal.visible_text import make_line

OWN_SOURCE = "portal"
_PROGRAM_LENGTH_SHOWN = 200
_FROM_FILE = (
    "description",
    "argv",
    "timeout_s",
    "output_limit_bytes",
    "environment",
    "working_directory",
)


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]
    """An action as it is typed; the rules are those of the model's validators."""

    class Meta:
        model = Action
        fields = ("name", *_FROM_FILE, "enabled")
        widgets = {"description": forms.TextInput, "name": forms.TextInput}

    def clean_environment(self) -> Any:
        """Return no variables for an empty field; JSON would call that null."""
        return self.cleaned_data["environment"] or {}


@admin.register(Action)
class ActionAdmin(PortalModelAdmin):
    """Actions. What came from a file is changed in that file, save whether it is enabled."""

    form = ActionForm
    list_display = ("name", "switch", "what", "limit", "source", "changed")
    list_filter = ("enabled",)
    search_fields = ("name", "description")
    ordering = ("name",)
    actions = ("enable_selected", "disable_selected")
    fieldsets = (
        (None, {"fields": ("name", "description", "enabled")}),
        (_("What runs"), {"fields": ("argv", "environment", "working_directory")}),
        (_("Limits"), {"fields": ("timeout_s", "output_limit_bytes")}),
        (_("Origin"), {"fields": ("source", "created", "changed")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Action | None = None) -> Any:
        """What is not there yet has no origin."""
        found = super().get_fieldsets(request, obj)
        return found if obj is not None else found[:-1]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Action | None = None
    ) -> tuple[str, ...]:
        """A name stays, because history tells of it; a file's fields belong to the file."""
        always = ("source", "created", "changed")
        if obj is None:
            return always
        return (*always, "name", *(_FROM_FILE if obj.source != OWN_SOURCE else ()))

    def has_delete_permission(self, request: HttpRequest, obj: Action | None = None) -> bool:
        """What a file brings would come back at the next start: disable it instead."""
        if obj is not None and obj.source != OWN_SOURCE:
            return False
        return super().has_delete_permission(request, obj)

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
        names = list(chosen.values_list("pk", flat=True))
        changed = list(Action.objects.filter(pk__in=names).exclude(enabled=enabled))
        Action.objects.filter(pk__in=[action.pk for action in changed]).update(
            enabled=enabled, updated_at=timezone.now()
        )
        for action in changed:
            self.log_change(request, action, [{"changed": {"fields": ["enabled"]}}])
        return len(names)


offer(Kind.ACTION, Action, by="name")
