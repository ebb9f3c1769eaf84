"""What a ledger's list can be narrowed by; each part of it can be answered from an index."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from techno.governance.status import Status
from techno.portal.fields import MomentField
from techno.portal.references import Kind, suggestions
from techno.portal.visible_text import make_line

TEXT_LIMIT = 256
PERIODS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


def search_field(hint: Any) -> forms.CharField:
    """Return the field that finds one thing by its identity; ``hint`` says by which."""
    widget = forms.TextInput({"type": "search", "placeholder": hint, "spellcheck": "false"})
    return forms.CharField(label=_("Search"), max_length=TEXT_LIMIT, required=False, widget=widget)


def text_field(label: Any, *, suggested: str = "") -> forms.CharField:
    """Return a field for an exact text; ``suggested`` names the list that offers values."""
    attributes: dict[str, Any] = {"spellcheck": "false", "autocapitalize": "none"}
    if suggested:
        attributes["list"] = suggested
    return forms.CharField(
        label=label, max_length=TEXT_LIMIT, required=False, widget=forms.TextInput(attributes)
    )


class LedgerFilters(forms.Form):
    """The filters that every ledger has. A part that is empty restricts nothing.

    ``main`` are the fields that are always in sight, ``more`` those that are tucked away.
    """

    q = search_field("")
    period = forms.ChoiceField(
        label=_("Time"),
        required=False,
        choices=[
            ("", _("Any time")),
            ("hour", _("Last hour")),
            ("day", _("Last day")),
            ("week", _("Last week")),
        ],
    )
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[("", _("Any status")), *((status.value, status.value) for status in Status)],
    )
    action = text_field(_("Action"), suggested="known-actions")
    key = text_field(_("Key"), suggested="known-keys")
    since = MomentField(label=_("From"), required=False)
    until = MomentField(label=_("To"), required=False)
    cursor = forms.CharField(max_length=2 * TEXT_LIMIT, required=False, widget=forms.HiddenInput)

    main: tuple[str, ...] = ("q", "period", "status", "action", "key")
    more: tuple[str, ...] = ("since", "until")
    #: Names of actions that no registry of actions knows.
    fixed_actions: tuple[str, ...] = ()

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="")

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        values: dict[str, Any] = super().clean() or {}
        since, until = values.get("since"), values.get("until")
        if since and until and since >= until:
            raise ValidationError(_("The time in “From” must lie before the one in “To”."))
        return values

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return the first moment and the one after the last; what was typed outdoes a period."""
        values = self.cleaned_data
        since, until = values["since"], values["until"]
        if values["period"] and not since and not until:
            since = timezone.now() - PERIODS[values["period"]]
        return since, until

    @property
    def main_fields(self) -> list[forms.BoundField]:
        """The fields in sight."""
        return [self[name] for name in self.main]

    @property
    def more_fields(self) -> list[forms.BoundField]:
        """The fields tucked away."""
        return [self[name] for name in self.more]

    @property
    def more_used(self) -> bool:
        """Whether one of the fields tucked away holds anything."""
        return any(self.data.get(name) for name in self.more)

    @property
    def narrowed(self) -> bool:
        """Whether anything restricts the list."""
        return any(self.data.get(name) for name in (*self.main, *self.more))

    @property
    def suggested(self) -> dict[str, list[tuple[str, str]]]:
        """The lists of values that are offered, by name."""
        actions = [(name, "") for name in self.fixed_actions]
        actions += [(found.value, "") for found in suggestions(Kind.ACTION)]
        keys = [(found.value, make_line(found.label)) for found in suggestions(Kind.KEY)]
        return {"known-actions": sorted(actions), "known-keys": keys}
