"""Form fields of the portal's pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

_INPUT_FORMAT = "%Y-%m-%dT%H:%M:%S"
_INDENT = 2


class MomentInput(forms.DateTimeInput):
    """The browser's own input for a time. It holds UTC until ``local_time.js`` turns it local."""

    input_type = "datetime-local"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        # Without autocomplete="off" a reload would put the local time where UTC is expected.
        given = {"data-utc": True, "step": "1", "autocomplete": "off", **(attrs or {})}
        super().__init__(attrs=given, format=_INPUT_FORMAT)

    def format_value(self, value: Any) -> str | None:
        """Return a time, or what was typed, in UTC as the input takes it."""
        try:
            moment = parse_datetime(value.strip()) if isinstance(value, str) else value
            if not isinstance(moment, datetime):
                return None
            utc = moment if is_naive(moment) else moment.astimezone(UTC)
            return f"{utc.replace(tzinfo=None):{_INPUT_FORMAT}}"
        except (ValueError, OverflowError):
            return None


class MomentField(forms.DateTimeField):
    """A time. Without a zone it is UTC; the script of the page sends one with a zone."""

    widget = MomentInput
    default_error_messages = {"invalid": _("Enter a date and a time.")}

    def to_python(self, value: Any) -> datetime | None:
        """Return the time in UTC. Raises ``ValidationError``, at the calendar's edges too."""
        try:
            moment: datetime | None = super().to_python(value)
            return moment.astimezone(UTC) if moment is not None else None
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class JsonField(forms.JSONField):
    """JSON that is typed by hand: shown with line breaks, echoed as it was when it is wrong.

    Nesting without end and numbers without end are wrong values here, not crashes.
    """

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        """Return what the text says. Raises ``ValidationError``."""
        try:
            return super().to_python(value)
        except (RecursionError, ValueError) as error:
            raise ValidationError(
                self.error_messages["invalid"], code="invalid", params={"value": value}
            ) from error

    def bound_data(self, data: Any, initial: Any) -> Any:
        """Return what was typed, unread."""
        if self.disabled:
            return initial
        return None if data is None else InvalidJSONInput(data)

    def prepare_value(self, value: Any) -> Any:
        """Return the value as a person reads it."""
        if isinstance(value, InvalidJSONInput):
            return value
        if value is None:
            return ""
        return json.dumps(value, ensure_ascii=False, indent=_INDENT, cls=self.encoder)


def in_the_readers_language(error: ValidationError) -> list[str]:
    """Return what a service refused. It says so in English, for terminals and the record too."""
    each = ValidationError([error]).error_list
    texts = [(gettext(str(one.message)), one.params) for one in each]
    return [text % params if params else text for text, params in texts]
