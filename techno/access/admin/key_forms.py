"""The forms by which keys are asked for, restricted and given their next version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from techno.access.models import ApiKey
from techno.access.reach import scopes_within_reach
from techno.access.terms import CONCURRENT_MOST, RATE_MOST, WINDOW_MOST_S
from techno.governance.principal import Scope
from techno.governance.restrictions import Rate, is_pattern
from techno.portal.fields import MomentField, in_the_readers_language
from techno.portal.references import Kind, suggestions

ACTIONS_MOST = 1000
SCOPE_MEANINGS: dict[Scope, str | Promise] = {
    Scope.EXECUTE: _("run registered actions"),
    Scope.AUDIT_READ: _("read the audit log"),
    Scope.DIAGNOSTICS_READ: _("read memory, metrics and diagnostics"),
    Scope.RUNS_READ: _("look at its own runs"),
    Scope.RUNS_READ_ALL: _("look at the runs of every key"),
    Scope.RUNS_CANCEL: _("stop runs that it may look at"),
    Scope.APPROVALS_READ: _("look at the approvals that its runs wait for"),
}
_NARROWING = (
    *("patterns", "allowed_networks", "allowed_hours"),
    *("rate_requests", "rate_window_s", "concurrent"),
)
_UNSET: tuple[object, ...] = (None, "", 60, "60", [])
#: How long an old version may go on, in hours.
OVERLAPS = (
    (0, _("no: the old version ends at once")),
    (1, _("for an hour")),
    (24, _("for a day")),
    (168, _("for a week")),
    (720, _("for 30 days")),
)


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that stand together; ``folded`` ones are shown once somebody wants them."""

    title: str | Promise
    fields: list[forms.BoundField]
    folded: bool = False

    @property
    def open(self) -> bool:
        """Whether it must be seen: something in it is wrong, or set."""
        return any(field.errors or field.value() not in _UNSET for field in self.fields)


class LinesField(forms.CharField):
    """Texts, one on each line or with commas or spaces between."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """Return the texts."""
        return str(super().to_python(value) or "").replace(",", " ").split()

    def prepare_value(self, value: Any) -> Any:
        """Return the texts as they are typed."""
        return "\n".join(value) if isinstance(value, list | tuple) else value


class TermsForm(forms.Form):
    """What a key may do. It keeps nothing: the services of ``techno.access`` do."""

    scopes = forms.MultipleChoiceField(label=_("Scopes"), widget=forms.CheckboxSelectMultiple)
    allowed_actions = forms.MultipleChoiceField(
        label=_("Allowed actions"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("The actions that the key may run. None ticked means all, also later ones."),
    )
    patterns = LinesField(
        label=_("Patterns of actions"),
        required=False,
        help_text=_("Such as GET_*, also for actions that are yet to come."),
    )
    allowed_networks = LinesField(
        label=_("Allowed networks"),
        required=False,
        help_text=_("Such as 192.0.2.0/24 or 2001:db8::/32. Empty means from anywhere."),
    )
    allowed_hours = forms.CharField(
        label=_("Allowed hours"),
        required=False,
        max_length=200,
        help_text=_("Such as mon-fri 08:00-18:00 Europe/Lisbon. Empty means at all times."),
    )
    rate_requests = forms.IntegerField(
        label=_("Requests"), required=False, min_value=1, max_value=RATE_MOST
    )
    rate_window_s = forms.IntegerField(
        label=_("in so many seconds"),
        required=False,
        min_value=1,
        max_value=WINDOW_MOST_S,
        initial=60,
    )
    concurrent = forms.IntegerField(
        label=_("Requests at once"), required=False, min_value=1, max_value=CONCURRENT_MOST
    )
    expires_at = MomentField(label=_("Expires"), required=False)

    def __init__(self, data: Any, user: Any, *, key: ApiKey | None = None) -> None:
        super().__init__(data, label_suffix="", initial=initial_of(key) if key else None)
        names = [found.value for found in suggestions(Kind.ACTION, most=ACTIONS_MOST)]
        if key is not None:  # an action that is gone since stays allowed until it is unticked
            names += [name for name in key.allowed_actions or () if name not in names]
        self.fields["allowed_actions"].choices = [  # type: ignore[attr-defined]
            (name, name) for name in names if not is_pattern(name)
        ]
        self.offer_scopes(scopes_within_reach(user))
        self.fields["expires_at"].help_text = format_lazy(
            _("Empty means in {days} days, the longest that a key may live."),
            days=settings.KEY_LIFETIME_MOST_DAYS,
        )

    def offer_scopes(self, offered: frozenset[str]) -> None:
        """Offer these scopes, and say what each of them allows."""
        field: Any = self.fields["scopes"]
        field.choices = [
            (scope.value, format_lazy("{}: {}", scope.value, SCOPE_MEANINGS[scope]))
            for scope in Scope
            if scope.value in offered
        ]

    def sections(self) -> list[Section]:
        """Return the fields in the order in which somebody thinks of them."""
        first = [self[name] for name in self.fields if name not in _NARROWING]
        further = [self[name] for name in _NARROWING]
        return [Section("", first), Section(_("From where, when and how often"), further, True)]

    def terms(self) -> dict[str, Any]:
        """Return the terms that a valid form asks for, as the services take them."""
        values = self.cleaned_data
        requests, window_s = values["rate_requests"], values["rate_window_s"] or 60
        return {
            "scopes": values["scopes"],
            "allowed_actions": [*values["allowed_actions"], *values["patterns"]],
            "allowed_networks": values["allowed_networks"],
            "allowed_hours": values["allowed_hours"],
            "rate": Rate(requests, window_s) if requests else None,
            "concurrent": values["concurrent"],
            "expires_at": values["expires_at"],
        }

    def refuse(self, error: ValidationError) -> None:
        """Show why a service refused what the form asks for."""
        self.add_error(None, in_the_readers_language(error))


class IssueKeyForm(TermsForm):
    """What a new key shall be."""

    label = forms.CharField(
        label=_("Label"),
        max_length=100,
        help_text=_("What the key is for; shown beside each trace."),
    )
    owner = forms.CharField(
        label=_("Owner"),
        max_length=150,
        required=False,
        help_text=_("Who answers for the key's use."),
    )
    purpose = forms.CharField(
        label=_("Purpose"),
        max_length=500,
        required=False,
        help_text=_("Where it is used, and for what."),
    )
    field_order = ("label", "owner", "purpose")

    def described(self) -> dict[str, Any]:
        """Return the texts for people."""
        return {name: self.cleaned_data[name] for name in ("label", "owner", "purpose")}


class RestrictKeyForm(TermsForm):
    """A key's terms, to be made tighter. What it may not do already is not offered."""

    def __init__(self, data: Any, user: Any, *, key: ApiKey) -> None:
        super().__init__(data, user, key=key)
        self._ends = key.expires_at
        self.offer_scopes(frozenset(key.scopes))
        self.fields["expires_at"].help_text = ""

    def terms(self) -> dict[str, Any]:
        """Return the terms; an end that was not touched stays what it is, to the microsecond."""
        terms = super().terms()
        if self._ends is not None and terms["expires_at"] == self._ends.replace(microsecond=0):
            terms["expires_at"] = self._ends
        return terms


class NextVersionForm(TermsForm):
    """A key's next version: how long the old one goes on, and on which terms the new one is."""

    overlap_h = forms.TypedChoiceField(
        label=_("Does the old version go on?"), choices=OVERLAPS, coerce=int, initial=24
    )
    field_order = ("overlap_h",)

    def overlap_until(self) -> datetime | None:
        """Return when the old version ends; ``None`` for at once."""
        hours = self.cleaned_data["overlap_h"]
        return timezone.now() + timedelta(hours=hours) if hours else None


def initial_of(key: ApiKey) -> dict[str, Any]:
    """Return a key's terms as the form shows them."""
    actions = key.allowed_actions or []
    return {
        "scopes": key.scopes,
        "allowed_actions": [name for name in actions if not is_pattern(name)],
        "patterns": [name for name in actions if is_pattern(name)],
        "allowed_networks": key.allowed_networks or [],
        "allowed_hours": key.allowed_hours,
        "rate_requests": key.rate_requests,
        "rate_window_s": key.rate_window_s,
        "concurrent": key.concurrent_most,
        "expires_at": key.expires_at,
    }
