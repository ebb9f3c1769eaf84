"""What may stand in an action, and how its arguments are made of a caller's values. Pure.

A template is filled argument by argument: a placeholder ``{name}`` is the whole of an argument or
a part of one, and whatever the value is, it never becomes two arguments. Only declared names are
placeholders; all other braces stand for themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
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


_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
#: After it no argument is an option, by a convention that most programs follow.
END_OF_OPTIONS = "--"


class InvalidAction(ValueError):
    """A value cannot stand in an action; the text names the field and the rule."""


class OptionLike(ValueError):
    """A caller's value would be read as an option; the text is the parameter's name."""


def placeholders(argument: str, declared: Collection[str]) -> list[str]:
    """Return the declared names that stand in one argument of a template, in order."""
    return [name for name in _PLACEHOLDER.findall(argument) if name in declared]


def fill(
    argv: Iterable[str], texts: Mapping[str, str | None], option_like: Collection[str]
) -> tuple[str, ...]:
    """Return the arguments of a template with ``texts`` in the place of its placeholders.

    An argument that needs a text which is ``None`` is left out. An argument that begins with a
    placeholder must not come to begin with a hyphen, unless :data:`END_OF_OPTIONS` stands before
    it or the parameter is among ``option_like``. Raises :class:`OptionLike`.
    """
    filled: list[str] = []
    options_ended = False
    for template in argv:
        names = placeholders(template, texts)
        if not names:
            options_ended = options_ended or template == END_OF_OPTIONS
            filled.append(template)
        elif all(texts[name] is not None for name in names):
            argument = _PLACEHOLDER.sub(lambda found: _text_of(found, texts), template)
            if argument.startswith("-") and not template.startswith("-") and not options_ended:
                began_by = next((name for name in names if texts[name]), names[0])
                if began_by not in option_like:
                    raise OptionLike(began_by)
            filled.append(argument)
    return tuple(filled)


def _text_of(found: re.Match[str], texts: Mapping[str, str | None]) -> str:
    text = texts.get(found[1])
    return found[0] if text is None else text


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
