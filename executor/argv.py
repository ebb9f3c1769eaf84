"""What may stand in an action: checked once, when it is saved or loaded. Pure."""

from __future__ import annotations

import re
from typing import Any

ARGUMENTS_MOST = 128
ARGUMENT_LIMIT = 4096
VARIABLES_MOST = 64
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: Variables through which a program could be made to load foreign code, or be told apart from
#: the orphans of other runs.
RESERVED_VARIABLES = re.compile(
    r"(LD_.*|TECHNO_(?!VAR_DIR$).*|PYTHONSTARTUP|BASH_ENV|ENV|IFS)", re.ASCII
)


class InvalidAction(ValueError):
    """A value cannot stand in an action; the text names the field and the rule."""


def _text(field: str, value: Any) -> str:
    """Return ``value`` if it is a text that an argument can hold."""
    if not isinstance(value, str):
        raise InvalidAction(f"{field} must be a text, not {type(value).__name__}.")
    if "\0" in value:
        raise InvalidAction(f"{field} must not hold a NUL character.")
    if len(value) > ARGUMENT_LIMIT:
        raise InvalidAction(f"{field} must have at most {ARGUMENT_LIMIT} characters.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidAction(f"{field} must be valid Unicode.") from error
    return value


def checked_argv(value: Any) -> tuple[str, ...]:
    """Return a program and its arguments. Raises :class:`InvalidAction`."""
    if not isinstance(value, (list, tuple)) or not value:
        raise InvalidAction("argv must be a list of texts that begins with the program.")
    if len(value) > ARGUMENTS_MOST:
        raise InvalidAction(f"argv must have at most {ARGUMENTS_MOST} texts.")
    arguments = tuple(_text(f"argv[{index}]", item) for index, item in enumerate(value))
    program = arguments[0]
    if not program or program.isspace():
        raise InvalidAction("argv[0] must name a program.")
    if not program.startswith("/"):
        raise InvalidAction("argv[0] must be the absolute path of a program.")
    return arguments


def checked_environment(value: Any) -> dict[str, str]:
    """Return an action's variables. Raises :class:`InvalidAction`."""
    if not isinstance(value, dict) or len(value) > VARIABLES_MOST:
        raise InvalidAction(f"environment must be an object of at most {VARIABLES_MOST} texts.")
    for name, content in value.items():
        if not isinstance(name, str) or VARIABLE_NAME.fullmatch(name) is None:
            raise InvalidAction(f"environment: {name!r} is not the name of a variable.")
        if RESERVED_VARIABLES.fullmatch(name):
            raise InvalidAction(f"environment: {name} must not be set by an action.")
        _text(f"environment.{name}", content)
    return dict(value)
