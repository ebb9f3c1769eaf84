"""The form by which a key is asked for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from techno.access.issue import IssuedKey, issue_key
from techno.access.models import ApiKey
from techno.governance.principal import Scope
from techno.portal.fields import MomentField
from techno.portal.references import Kind, suggestions

ACTIONS_MOST = 1000
SCOPE_MEANINGS = {
    Scope.EXECUTE: _("run registered actions"),
    Scope.AUDIT_READ: _("read the audit log"),
    Scope.DIAGNOSTICS_READ: _("read memory, metrics and diagnostics"),
    Scope.RUNS_READ: _("look at its own runs"),
    Scope.RUNS_READ_ALL: _("look at the runs of every key"),
    Scope.RUNS_CANCEL: _("stop runs that it may look at"),
    Scope.APPROVALS_READ: _("look at the approvals that its runs wait for"),
}


class IssueKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a new key shall be. It saves nothing: :func:`techno.access.issue.issue_key` does."""

    scopes = forms.MultipleChoiceField(
        label=_("Scopes"),
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (scope.value, format_lazy("{}: {}", scope.value, SCOPE_MEANINGS[scope]))
            for scope in Scope
        ],
        initial=[scope.value for scope in Scope],
    )
    allowed_actions = forms.MultipleChoiceField(
        label=_("Allowed actions"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("The actions that the key may run. None ticked means all, also later ones."),
    )
    expires_at = MomentField(
        label=_("Expires"), required=False, help_text=_("Leave it empty for a key without end.")
    )

    class Meta:
        model = ApiKey
        fields = ("label", "owner")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        names = [found.value for found in suggestions(Kind.ACTION, most=ACTIONS_MOST)]
        self.fields["allowed_actions"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]

    def issue(self, created_by: Any) -> IssuedKey | None:
        """Issue the key that a valid form asks for; ``None`` when it is refused after all."""
        values = self.cleaned_data
        try:
            return issue_key(
                label=values["label"],
                owner=values["owner"],
                scopes=values["scopes"],
                allowed_actions=values["allowed_actions"],
                expires_at=values["expires_at"],
                created_by=created_by,
            )
        except ValidationError as error:
            self.add_error(None, ValidationError(error.messages))
            return None
