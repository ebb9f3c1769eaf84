"""The body of execute, checked field by field."""

from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from executor.approval_models import REASON_LIMIT
from techno.gate import SESSION_LIMIT

COMMAND_RULE = "must be 3 to 32 characters of A-Z and underscore."
SESSION_RULE = f"must be a text of at most {SESSION_LIMIT} printable characters."


_COMMAND = re.compile("[A-Z_]{3,32}")


def is_session(text: str) -> bool:
    """Whether ``text`` can name a caller's session."""
    return len(text) <= SESSION_LIMIT and text.isprintable()


class StrictText(serializers.CharField):
    """A text that must come as a text: no number or boolean is taken for one."""

    default_error_messages = {"invalid": "must be a text.", "blank": "must not be empty."}

    def to_internal_value(self, data: Any) -> str:
        """Return ``data``. Raises ``ValidationError``."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBoolean(serializers.BooleanField):
    """True or false: no text or number is taken for one."""

    default_error_messages = {"invalid": "must be true or false.", "null": "must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        """Return ``data``. Raises ``ValidationError``."""
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class SessionField(StrictText):
    """A caller's own name for a series of requests."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False, allow_blank=True, allow_null=True, trim_whitespace=False, **kwargs
        )

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the session, ``""`` for none. Raises ``ValidationError`` naming the rule."""
        if data is serializers.empty or data is None:
            return ""
        if not isinstance(data, str) or not is_session(data):
            raise serializers.ValidationError(SESSION_RULE)
        return data


class ExecuteRequest(serializers.Serializer[Any]):
    """``{"command": …, "session_id": …, "params": {…}, "dry_run": …}`` and nothing else."""

    command = serializers.RegexField(
        rf"\A{_COMMAND.pattern}\Z",
        trim_whitespace=False,
        help_text="The registered action's name.",
        error_messages={
            "invalid": COMMAND_RULE,
            "required": "is required.",
            "null": "is required.",
            "blank": COMMAND_RULE,
        },
    )
    session_id = SessionField(help_text="Your own name for a series of requests.")
    sessionId = SessionField(help_text="Accepted for session_id.")  # noqa: N815
    params = serializers.DictField(
        required=False,
        help_text="Values of the action's parameters, by name: texts, whole numbers, booleans.",
        error_messages={"not_a_dict": "must be an object.", "null": "must be an object."},
    )
    dry_run = StrictBoolean(
        required=False,
        help_text="Ask for the decision, the arguments and the limits; nothing is started.",
    )

    reason = StrictText(
        required=False,
        allow_blank=True,
        max_length=REASON_LIMIT,
        help_text="Why this is asked for; actions that need approval want it.",
    )

    default_error_messages = {"invalid": "The body must be a JSON object."}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Return the checked fields. Raises ``ValidationError`` naming field and rule."""
        if type(data) is dict and _is_plain(data):
            return data
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the checked fields. Raises ``ValidationError`` for anything unknown."""
        if isinstance(data, dict):
            for name in data:
                if name not in self.fields:
                    raise serializers.ValidationError({str(name)[:64]: "is not a known field."})
            if not isinstance(data.get("command", ""), str):
                raise serializers.ValidationError({"command": COMMAND_RULE})
        checked: dict[str, Any] = super().to_internal_value(data)
        return checked


def _is_plain(body: dict[str, Any]) -> bool:
    """Whether the body is a command and perhaps a session, and both are right.

    The fields say the same of such a body, at the price of looking at each of those that are not
    there.
    """
    command = body.get("command")
    if not isinstance(command, str) or _COMMAND.fullmatch(command) is None:
        return False
    if len(body) == 1:
        return True
    session = body.get("session_id")
    return len(body) == 2 and isinstance(session, str) and is_session(session)
