"""An action as it is typed; the rules are those of the model's validators."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext_lazy as _

from executor.definitions import FIELDS, with_program_found
from executor.models import Action

#: What each field wants, with an example where there is something to type.
HELP = {
    "argv": _(
        'A list of texts, for example ["/usr/bin/du", "--summarize", "--", "{path}"]. The first '
        "is the program, by its path or by a name that is looked up once, now. {path} stands for "
        "the parameter of that name; whatever is given for it stays one argument. No shell reads "
        "any of this."
    ),
    "parameters": _(
        'What a caller may choose, by name: {"path": {"type": "string", "enum": ["/", "/var"]}}. '
        "Types: string (pattern, minLength, maxLength, enum), integer (minimum, maximum, enum), "
        "boolean (flag), secret (pass_as: env:NAME or fd:3). A pattern fits the whole text. "
        "required is true unless there is a default."
    ),
    "environment": _(
        'Variables added to the minimal environment, for example {"TZ": "UTC"}. Everybody who '
        "may see actions sees them: declare a parameter of the type secret for what is secret."
    ),
    "isolation": _(
        'How far the program gets, for example {"user": "nobody", "cpu_s": 10, "memory_bytes": '
        '268435456, "no_new_privs": true, "sandbox": "bwrap"}. Known are user, group, umask, '
        "cpu_s, memory_bytes, processes, file_size_bytes, open_files, no_new_privs, sandbox, "
        "pass_environment. What the host cannot give keeps the action from running."
    ),
    "timeout_s": _("A caller who waits is answered within its own window, whatever this says."),
    "max_queued": _("0: as many as there is room for. Beyond it a request is refused at once."),
    "approvals_needed": _("How many people must agree before a run starts. 0: none."),
    "approver_groups": _(
        'Whose members may agree, for example ["operators"]. Nobody agrees to what they asked for.'
    ),
    "approval_ttl_s": _("Undecided after this time, the run expires."),
    "reason_pattern": _(
        "A form that the reason must have, for example a ticket number: OPS-[0-9]+. Empty: any."
    ),
}


class ActionForm(forms.ModelForm):  # type: ignore[type-arg]
    """An action as it is typed."""

    class Meta:
        model = Action
        fields = ("name", *FIELDS, "enabled")
        help_texts = HELP
        widgets = {
            "description": forms.TextInput,
            "name": forms.TextInput,
            "reason_pattern": forms.TextInput,
        }

    def add_error(self, field: Any, error: Any) -> None:
        """Note what is wrong; of a field that only a file may change, above the others."""
        if field is None and hasattr(error, "error_dict"):
            told: dict[str, list[ValidationError]] = {}
            for name, faults in error.error_dict.items():
                told.setdefault(name if name in self.fields else NON_FIELD_ERRORS, []).extend(
                    faults
                )
            error = ValidationError(told)
        super().add_error(field, error)

    def clean_argv(self) -> Any:
        """Look a program without a path up, once and for all."""
        return with_program_found(self.cleaned_data["argv"])

    def clean_environment(self) -> Any:
        """Return no variables for an empty field; JSON would call that null."""
        return self.cleaned_data["environment"] or {}

    def clean_parameters(self) -> Any:
        """Return no parameters for an empty field."""
        return self.cleaned_data["parameters"] or {}

    def clean_isolation(self) -> Any:
        """Return no limits for an empty field."""
        return self.cleaned_data["isolation"] or {}

    def clean_approver_groups(self) -> Any:
        """Return no groups for an empty field."""
        return self.cleaned_data["approver_groups"] or []
