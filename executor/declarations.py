"""What an action may declare about a parameter: checked once, when it is saved or loaded. Pure.

A declaration is a subset of JSON Schema with a few words of ours. Whatever is not understood is
refused: a rule that is misspelt must not be a rule that does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from executor.argv import RESERVED_VARIABLES, VARIABLE_NAME, InvalidAction
from executor.patterns import BadPattern, compiled

PARAMETERS_MOST = 32
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
#: They stand for this installation's own paths in files of actions.
TAKEN_NAMES = frozenset({"python", "project", "var"})
#: One argument, or one variable, of Linux holds 128 KiB; a character takes up to four bytes.
TEXT_MOST = 30_000
TEXT_USUAL = 1_000
SECRET_MOST = 8_192
#: What is shorter cannot be masked without hiding half of what a program prints.
SECRET_LEAST = 4
#: A pattern's states times the longest text: what one check may cost at the most.
STEPS_MOST = 300_000
WHOLE_MOST = 2**63 - 1
ENUM_MOST = 100
TITLE_LIMIT, DESCRIPTION_LIMIT = 80, 300
FIRST_FD, LAST_FD = 3, 9
_PASS_AS = re.compile(rf"env:(?P<env>{VARIABLE_NAME.pattern})|fd:(?P<fd>[{FIRST_FD}-{LAST_FD}])")
_FOR_ALL = {"type", "title", "description", "required"}
_TEXT = {"pattern", "minLength", "maxLength", "allow_unprintable"}
#: What may be said of each type beside that.
KEYWORDS = {
    "string": _TEXT | {"enum", "default", "allow_option_like"},
    "integer": {"minimum", "maximum", "enum", "default", "allow_option_like"},
    "boolean": {"default", "flag"},
    "secret": _TEXT | {"pass_as"},
}


def checked_parameters(value: Any) -> dict[str, dict[str, Any]]:
    """Return the declarations by name. Raises :class:`InvalidAction`."""
    if not isinstance(value, Mapping):
        raise InvalidAction("parameters must be an object with one declaration for each name.")
    if len(value) > PARAMETERS_MOST:
        raise InvalidAction(f"parameters: there may be at most {PARAMETERS_MOST}.")
    ways: set[str] = set()
    for name, declaration in value.items():
        if not isinstance(name, str) or NAME.fullmatch(name) is None or name in TAKEN_NAMES:
            raise InvalidAction(
                f"parameters: {name!a} is no name for a parameter: 1 to 32 of a-z, 0-9 and "
                "underscore, beginning with a letter, and not python, project or var."
            )
        _check(f"parameters.{name}", declaration)
        way = declaration.get("pass_as")
        if way in ways:
            raise InvalidAction(f"parameters.{name}.pass_as: {way} is taken by another one.")
        ways.add(way)
        ways.discard(None)
    return dict(value)


def passing(way: str) -> tuple[str, int]:
    """Return a secret's variable, or ``""`` and its descriptor."""
    found = _PASS_AS.fullmatch(way)
    if found is None:
        raise InvalidAction(f'pass_as must be "env:NAME" or "fd:{FIRST_FD}" to "fd:{LAST_FD}".')
    return found["env"] or "", int(found["fd"] or 0)


def _check(field: str, declaration: Any) -> None:
    if not isinstance(declaration, Mapping):
        raise InvalidAction(f"{field} must be an object.")
    kind = declaration.get("type")
    if not isinstance(kind, str) or kind not in KEYWORDS:
        raise InvalidAction(f"{field}.type must be one of {', '.join(KEYWORDS)}.")
    for word in declaration:
        if word not in _FOR_ALL | KEYWORDS[kind]:
            raise InvalidAction(f"{field}.{word} is not known for the type {kind}.")
    for word, limit in (("title", TITLE_LIMIT), ("description", DESCRIPTION_LIMIT)):
        _check_words(f"{field}.{word}", declaration.get(word, ""), limit)
    for word in ("required", "allow_unprintable", "allow_option_like"):
        if not isinstance(declaration.get(word, False), bool):
            raise InvalidAction(f"{field}.{word} must be true or false.")
    _RULES[kind](field, declaration)
    _check_enum(field, declaration)
    if "default" in declaration and declaration.get("required"):
        raise InvalidAction(f"{field}: what is required needs no default.")


def _check_words(field: str, value: Any, limit: int) -> None:
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise InvalidAction(f"{field} must be a text of at most {limit} printable characters.")


def _whole(field: str, declaration: Mapping[str, Any], word: str, usual: int) -> int:
    value = declaration.get(word, usual)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidAction(f"{field}.{word} must be a whole number.")
    return value


def text_bounds(field: str, declaration: Mapping[str, Any]) -> tuple[int, int]:
    """Return how short and how long a text may be. Raises :class:`InvalidAction`."""
    secret = declaration["type"] == "secret"
    least, most = (SECRET_LEAST, SECRET_MOST) if secret else (0, TEXT_MOST)
    low = _whole(field, declaration, "minLength", least)
    high = _whole(field, declaration, "maxLength", min(most, max(low, TEXT_USUAL)))
    if not least <= low <= high <= most:
        raise InvalidAction(
            f"{field}: minLength and maxLength must lie between {least} and {most}, in order."
        )
    return low, high


def whole_bounds(field: str, declaration: Mapping[str, Any]) -> tuple[int, int]:
    """Return the bounds of a whole number. Raises :class:`InvalidAction`."""
    low = _whole(field, declaration, "minimum", -WHOLE_MOST)
    high = _whole(field, declaration, "maximum", WHOLE_MOST)
    if not -WHOLE_MOST <= low <= high <= WHOLE_MOST:
        raise InvalidAction(f"{field}: minimum and maximum must be 64-bit numbers, in order.")
    return low, high


def _check_text(field: str, declaration: Mapping[str, Any]) -> None:
    _, longest = text_bounds(field, declaration)
    pattern = declaration.get("pattern")
    if pattern is None:
        return
    if not isinstance(pattern, str):
        raise InvalidAction(f"{field}.pattern must be a text.")
    try:
        steps = compiled(pattern).size * longest
    except BadPattern as error:
        raise InvalidAction(f"{field}.pattern {error}.") from error
    if steps > STEPS_MOST:
        raise InvalidAction(
            f"{field}: the pattern is too large for texts of {longest} characters; "
            "simplify it or set a smaller maxLength."
        )


def _check_whole(field: str, declaration: Mapping[str, Any]) -> None:
    whole_bounds(field, declaration)


def _check_boolean(field: str, declaration: Mapping[str, Any]) -> None:
    if not isinstance(declaration.get("default", False), bool):
        raise InvalidAction(f"{field}.default must be true or false.")
    flag = declaration.get("flag", "--flag")
    if not isinstance(flag, str) or not flag.isprintable() or not 1 <= len(flag) <= TITLE_LIMIT:
        raise InvalidAction(f"{field}.flag must be the argument that stands for true.")


def _check_secret(field: str, declaration: Mapping[str, Any]) -> None:
    _check_text(field, declaration)
    way = declaration.get("pass_as")
    try:
        variable, _ = passing(way if isinstance(way, str) else "")
    except InvalidAction as error:
        raise InvalidAction(f"{field}.{error}") from None
    if RESERVED_VARIABLES.fullmatch(variable) or variable in ("PATH", "HOME"):
        raise InvalidAction(f"{field}.pass_as: {variable} must not be set by a parameter.")


_RULES = {
    "string": _check_text,
    "integer": _check_whole,
    "boolean": _check_boolean,
    "secret": _check_secret,
}


def _check_enum(field: str, declaration: Mapping[str, Any]) -> None:
    values = declaration.get("enum")
    if values is None:
        return
    kind = str if declaration["type"] == "string" else int
    if (
        not isinstance(values, list)
        or not 1 <= len(values) <= ENUM_MOST
        or not all(isinstance(value, kind) and not isinstance(value, bool) for value in values)
        or len(set(values)) != len(values)
    ):
        raise InvalidAction(
            f"{field}.enum must be a list of 1 to {ENUM_MOST} different values of the type."
        )
