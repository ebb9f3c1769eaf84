"""The form by which a schedule is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from executor.approvers import approver_of
from executor.models import Action, ActionSchedule
from executor.parameters import MASK
from executor.requesters import folded
from executor.schedules import Plan
from executor.sealing import Unsealable, unseal
from techno.access.models import ApiKey
from techno.portal.fields import JsonField

OFFERED_MOST = 1000


class ScheduleForm(forms.Form):
    """What a schedule shall be. What could not fire is refused by the service."""

    name = forms.CharField(
        label=_("Name"), max_length=63, help_text=_("Lower-case letters, digits and hyphens.")
    )
    action = forms.ChoiceField(label=_("Action"))
    expression = forms.CharField(
        label=_("Cron expression"),
        max_length=100,
        help_text=_("Five fields: minute hour day month weekday. “30 2 * * *” is 2:30 at night."),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        initial="UTC",
        widget=forms.TextInput({"list": "zones", "spellcheck": "false"}),
    )
    parameters = JsonField(
        label=_("Parameters"),
        required=False,
        help_text=_("A JSON object. A secret that is shown as *** stays as it was."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        required=False,
        help_text=_("Why this runs. Those who decide read it, where the action needs approval."),
    )
    key_prefix = forms.ChoiceField(
        label=_("Runs as"),
        required=False,
        help_text=_("A key that you answer for, or an identity of the schedule's own."),
    )

    def __init__(self, user: Any, schedule: ActionSchedule | None = None, data: Any = None) -> None:
        initial = {} if schedule is None else {name: getattr(schedule, name) for name in _KEPT}
        super().__init__(data, initial=initial, label_suffix="")
        self.schedule = schedule
        if schedule is not None:
            self.fields["name"].disabled = True
        names = Action.objects.filter(enabled=True).order_by("name").values_list("name", flat=True)
        offered: dict[str, Any] = {"action": [(name, name) for name in names[:OFFERED_MOST]]}
        offered["key_prefix"] = [("", _("itself")), *_keys_of(user)]
        for field, choices in offered.items():
            self.fields[field].choices = choices  # type: ignore[attr-defined]

    def clean_parameters(self) -> dict[str, Any]:
        """Return the parameters, secrets that were not typed anew as they were."""
        given = self.cleaned_data["parameters"] or {}
        if not isinstance(given, dict):
            raise ValidationError(_("Enter a JSON object."))
        if self.schedule is None or MASK not in given.values():
            return given
        try:
            kept = unseal(self.schedule.sealed) if self.schedule.sealed else {}
        except Unsealable as error:
            raise ValidationError(_("The secrets cannot be opened any more; type them.")) from error
        return {name: kept.get(name, it) if it == MASK else it for name, it in given.items()}

    def plan(self) -> Plan:
        """Return what a valid form asks for."""
        return Plan(**{name: self.cleaned_data[name] for name in _KEPT})

    @property
    def zones(self) -> list[str]:
        """The names that are offered for the time zone."""
        return sorted(available_timezones())


_KEPT = ("name", "action", "expression", "zone", "parameters", "reason", "key_prefix")


def _keys_of(user: Any) -> Iterator[tuple[str, str]]:
    """Return the live keys that this person answers for; for a superuser, all of them."""
    names = approver_of(user).names
    for key in ApiKey.objects.filter(revoked_at=None).order_by("label")[:OFFERED_MOST]:
        theirs = folded([key.owner, key.created_by_name]) & names
        if key.state == "live" and (user.is_superuser or theirs):
            yield key.prefix, f"{key.label} ({key.prefix})"
