"""The values that a caller gives for an action's parameters: checked, then made arguments. Pure.

The rules are JSON Schema's (2020-12) and are checked by ``jsonschema``, with three differences: a
pattern is about the whole text and matched in linear time, a whole number is written as one, and
a text holds what an argument can hold. A complaint names the field and the rule and never the
value, which may be secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from executor.argv import InvalidAction, OptionLike, fill, placeholders
from executor.declarations import checked_parameters, passing, text_bounds, whole_bounds
from executor.patterns import compiled
from techno.governance.frozen import frozen

#: What stands in place of a secret, wherever anything is shown or kept.
MASK = "***"
_RULE_LIMIT = 120


class InvalidParameter(ValueError):
    """A value cannot be taken; the text names the field and the rule."""


@frozen
class Arguments:
    """Checked values, as a process gets them and as people may see them.

    ``values`` has defaults filled in and secrets masked; ``variables`` and ``descriptors`` (by
    number, as text: all of this may travel as JSON) carry the secrets; ``secrets`` are the texts
    that must not be shown.
    """

    argv: tuple[str, ...]
    values: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    descriptors: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


class Parameters:
    """The declared parameters of one version of an action, ready to check values."""

    def __init__(self, argv: tuple[str, ...], declared: Any) -> None:
        """Read the declarations. Raises :class:`InvalidAction`."""
        self._argv = argv
        self._declared = checked_parameters(declared)
        self._open = [name for name, rules in self._declared.items() if rules["type"] != "secret"]
        _check_template(argv, self._declared, self._open)
        schema = {name: _schema(name, rules) for name, rules in self._declared.items()}
        self._check_fitting_defaults(schema)
        self._validator = _Validator({"type": "object", "properties": schema})

    def resolve(self, given: Mapping[str, object]) -> Arguments:
        """Check ``given`` and fill the template. Raises :class:`InvalidParameter`."""
        for name in given:
            if name not in self._declared:
                raise InvalidParameter(f"params.{name}: is not a parameter of this action.")
        values: dict[str, Any] = {}
        for name, rules in self._declared.items():
            if name in given:
                values[name] = given[name]
            elif "default" in rules:
                values[name] = rules["default"]
            elif rules.get("required", True):
                raise InvalidParameter(f"params.{name}: is required.")
        error = next(self._validator.iter_errors(values), None)
        if error is not None:
            raise InvalidParameter(f"params.{error.path[0]}: {_sentence(error)}")
        return self._arguments(values)

    def _arguments(self, values: dict[str, Any]) -> Arguments:
        texts = {name: _as_text(self._declared[name], values.get(name)) for name in self._open}
        allowed = {name for name in self._open if self._declared[name].get("allow_option_like")}
        allowed |= {name for name in self._open if "flag" in self._declared[name]}
        try:
            argv = fill(self._argv, texts, allowed)
        except OptionLike as error:
            raise InvalidParameter(f"params.{error}: must not begin with a hyphen.") from None
        shown, variables, descriptors, secrets = dict(values), {}, {}, []
        for name in values.keys() - set(self._open):
            secret = values[name]
            secrets.append(secret)
            shown[name] = MASK
            variable, descriptor = passing(self._declared[name]["pass_as"])
            if variable:
                variables[variable] = secret
            else:
                descriptors[str(descriptor)] = secret
        return Arguments(argv, shown, variables, descriptors, tuple(secrets))

    def _check_fitting_defaults(self, schema: Mapping[str, Any]) -> None:
        for name, rules in self._declared.items():
            for word, value in _own_values(rules):
                error = next(_Validator(schema[name]).iter_errors(value), None)
                if error is not None:
                    raise InvalidAction(f"parameters.{name}.{word}: {_sentence(error)}")


def _own_values(rules: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if "default" in rules:
        yield "default", rules["default"]
    for value in rules.get("enum", ()):
        yield "enum", value


def _check_template(
    argv: tuple[str, ...], declared: Mapping[str, Mapping[str, Any]], open_names: list[str]
) -> None:
    """Every parameter has its place, and a secret has none in the arguments."""
    found = [placeholders(argument, declared) for argument in argv]
    if found[0]:
        raise InvalidAction("argv[0] is the program: no parameter may stand in it.")
    used = {name for names in found for name in names}
    for name, rules in declared.items():
        if rules["type"] == "secret" and name in used:
            raise InvalidAction(
                f"argv: {{{name}}} is secret, and arguments are seen by every user of the host."
            )
        if "flag" in rules and any(
            name in names and argument != f"{{{name}}}"
            for argument, names in zip(argv, found, strict=True)
        ):
            raise InvalidAction(f"argv: {{{name}}} stands for a flag and must be alone.")
    for name in open_names:
        if name not in used:
            raise InvalidAction(f"parameters.{name}: {{{name}}} does not stand in argv.")


def _schema(name: str, rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of one parameter. Cheap rules come first: the first error counts."""
    where = f"parameters.{name}"
    kind = rules["type"]
    if kind == "boolean":
        return {"type": "boolean"}
    if kind == "integer":
        low, high = whole_bounds(where, rules)
        schema = {"type": "integer", "minimum": low, "maximum": high}
    else:
        low, high = text_bounds(where, rules)
        schema = {"type": "string", "minLength": low, "maxLength": high}
        schema["argument"] = "any" if rules.get("allow_unprintable") else "printable"
    return schema | {word: rules[word] for word in ("enum", "pattern") if word in rules}


def _as_text(rules: Mapping[str, Any], value: Any) -> str | None:
    """Return what a value is as (part of) an argument; ``None`` leaves the argument out."""
    if "flag" in rules:
        return str(rules["flag"]) if value else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def _fits_argument(validator: Any, rule: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, str):
        return
    if "\0" in value:
        yield ValidationError("must not hold a NUL character.")
    elif any("\ud800" <= character <= "\udfff" for character in value):
        yield ValidationError("must be valid Unicode.")
    elif rule == "printable" and not value.isprintable():
        yield ValidationError("must not hold line ends, control or direction characters.")


def _has_form(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled(pattern).matches(value):
        yield ValidationError("does not have the form")


_Validator = validators.extend(
    Draft202012Validator,
    {"argument": _fits_argument, "pattern": _has_form},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
_TYPES = {"string": "a text", "integer": "a whole number", "boolean": "true or false"}


def _sentence(error: ValidationError) -> str:
    """Return the broken rule in words. ``jsonschema``'s own would quote the value."""
    rule, value = error.validator, error.validator_value
    if rule == "type":
        return f"must be {_TYPES[str(value)]}."
    if rule in ("minLength", "maxLength"):
        return f"must have at {'least' if rule == 'minLength' else 'most'} {value} characters."
    if rule in ("minimum", "maximum"):
        return f"must be at {'least' if rule == 'minimum' else 'most'} {value}."
    if rule == "enum":
        return f"must be one of {_told(', '.join(map(str, value)), 'the declared values')}."
    if rule == "pattern":
        return f"must have the form {_told(str(value), 'that the action declares')}."
    return str(error.message)


def _told(rule: str, otherwise: str) -> str:
    """A caller is told a rule, unless it is long or may name a path of the host."""
    return otherwise if "/" in rule or len(rule) > _RULE_LIMIT else rule
