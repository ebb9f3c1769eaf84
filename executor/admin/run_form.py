"""Running an action from the portal: a form made from its parameters, on the same gate as a key."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executor.approval_models import REASON_LIMIT
from executor.models import Action
from executor.requesters import RUN_PERMISSION
from executor.requests import RunRequest
from executor.runs import execute
from techno.gate import conclude
from techno.web.person import act_of_person

LISTED_MOST = 1000
_PREFIX = "param_"


class RunForm(forms.Form):
    """The parameters of one action. What they must be is the gate's to say, not the form's."""

    def __init__(self, action: Action, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        self.declared: Mapping[str, Any] = action.parameters or {}
        for name, rules in self.declared.items():
            self.fields[_PREFIX + name] = _field(name, rules)
        if action.approvals_needed:
            self.fields["reason"] = forms.CharField(
                label=_("Reason"),
                max_length=REASON_LIMIT,
                help_text=_("Why this is asked for. Those who decide read it."),
            )
            self.fields["confirmed"] = forms.BooleanField(
                label=_("I have read what this runs, and ask for approval.")
            )

    def parameters(self) -> dict[str, object]:
        """Return the values as a console would send them; what was left empty is not sent."""
        given: dict[str, object] = {}
        for name, rules in self.declared.items():
            value = self.cleaned_data.get(_PREFIX + name)
            if rules["type"] == "boolean":
                given[name] = bool(value)
            elif value not in (None, ""):
                given[name] = int(value) if rules["type"] == "integer" else value
        return given


def _field(name: str, rules: Mapping[str, Any]) -> forms.Field:
    """Return the field of one declared parameter."""
    common: dict[str, Any] = {
        "label": rules.get("title") or name,
        "help_text": rules.get("description", ""),
        "required": bool(rules.get("required", True)) and "default" not in rules,
        "initial": rules.get("default"),
    }
    if rules["type"] == "boolean":
        return forms.BooleanField(**(common | {"required": False}))
    if "enum" in rules:
        choices = [(str(value), str(value)) for value in rules["enum"]]
        first = [] if common["required"] else [("", "–")]
        return forms.ChoiceField(choices=first + choices, **common)
    if rules["type"] == "integer":
        return forms.IntegerField(
            min_value=rules.get("minimum"), max_value=rules.get("maximum"), **common
        )
    text: type[forms.Widget] = forms.TextInput
    if rules["type"] == "secret":
        text = forms.PasswordInput
    widget = text({"autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(strip=False, widget=widget, **common)


def choose_context(request: HttpRequest) -> dict[str, Any]:
    """Return the actions that can be run."""
    _require(request)
    actions = Action.objects.filter(enabled=True).order_by("name")[:LISTED_MOST]
    return {"title": gettext("Run an action"), "actions": list(actions)}


def answer_new(request: HttpRequest, name: str) -> HttpResponseRedirect | dict[str, Any]:
    """Run what the form says and lead to the run; else return the context of the form's page.

    Raises ``Http404`` for an action that is not there or is disabled.
    """
    _require(request)
    action = Action.objects.filter(name=name, enabled=True).first()
    if action is None:
        raise Http404("no such action")
    posted = request.method == "POST"
    form = RunForm(action, request.POST if posted else None)
    refusal = ""
    if posted and form.is_valid():
        asked = RunRequest(
            name,
            form.parameters(),
            respond_async=True,
            reason=form.cleaned_data.get("reason", ""),
        )
        governed = act_of_person(request)
        ran = execute(governed, asked)
        conclude(governed, ran.verdict)
        if governed.execution_id:
            messages.success(request, _told(action))
            address = reverse("admin:executor_commandrun_change", args=[governed.execution_id])
            return HttpResponseRedirect(address)
        refusal = gettext(ran.verdict.message)
    return {
        "title": gettext("Run %(action)s") % {"action": name},
        "action": action,
        "command_line": shlex.join(action.argv),
        "form": form,
        "refusal": refusal,
    }


def _told(action: Action) -> str:
    if action.approvals_needed:
        return gettext("The run waits for approval.")
    return gettext("The run is on its way.")


def _require(request: HttpRequest) -> None:
    if not request.user.has_perm(RUN_PERMISSION):
        raise PermissionDenied
