"""Parameters: what may be declared, what is taken, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.argv import InvalidAction
from executor.parameters import MASK, Arguments, InvalidParameter, Parameters

ANY_TEXT = {"type": "string", "allow_unprintable": True, "allow_option_like": True}


def resolve(argv: list[str], declared: dict[str, Any], **given: Any) -> Arguments:
    return Parameters(("/bin/x", *argv), declared).resolve(given)


@given(
    st.text(max_size=40).filter(lambda text: "\0" not in text).filter(str.isascii)
    | st.text(alphabet="{}x -'\"$`\n;|&\u202e\u00e9", max_size=20)
)
def test_whatever_the_value_it_is_one_argument(text: str) -> None:
    made = resolve(["{x}", "--in={x}.txt", "{y}"], {"x": ANY_TEXT, "y": ANY_TEXT}, x=text, y="{x}")
    assert made.argv == ("/bin/x", text, f"--in={text}.txt", "{x}")


@pytest.mark.parametrize(
    ("rules", "value", "argument"),
    [
        ({"type": "string"}, "a b", "a b"),
        ({"type": "string"}, "", ""),
        ({"type": "string", "enum": ["/", "/var"]}, "/var", "/var"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "abc", "abc"),
        ({"type": "integer"}, 2**63 - 1, "9223372036854775807"),
        ({"type": "integer", "enum": [1, 2]}, 2, "2"),
        ({"type": "integer", "minimum": -5, "allow_option_like": True}, -5, "-5"),
        ({"type": "boolean"}, True, "true"),
        ({"type": "boolean"}, False, "false"),
        ({"type": "boolean", "flag": "--all"}, True, "--all"),
        ({"type": "boolean", "flag": "--all"}, False, None),
        ({"type": "string", "default": "d"}, ..., "d"),
        ({"type": "string", "required": False}, ..., None),
        ({"type": "boolean", "default": False, "flag": "-v"}, ..., None),
    ],
)
def test_what_a_value_becomes(rules: dict[str, Any], value: Any, argument: str | None) -> None:
    given = {} if value is ... else {"x": value}
    expected = ("/bin/x",) if argument is None else ("/bin/x", argument)
    assert resolve(["{x}"], {"x": rules}, **given).argv == expected


@pytest.mark.parametrize(
    ("rules", "value", "complaint"),
    [
        ({"type": "string"}, 1, "must be a text."),
        ({"type": "string"}, None, "must be a text."),
        ({"type": "string"}, ["a"], "must be a text."),
        ({"type": "string"}, "a\0b", "must not hold a NUL character."),
        ({"type": "string", "allow_unprintable": True}, "a\0b", "must not hold a NUL character."),
        ({"type": "string"}, "\ud800", "must be valid Unicode."),
        ({"type": "string"}, "a\nb", "must not hold line ends"),
        ({"type": "string"}, "\u202egnp.exe", "must not hold line ends"),
        ({"type": "string"}, "-rf", "must not begin with a hyphen."),
        ({"type": "string"}, "x" * 1001, "must have at most 1000 characters."),
        ({"type": "string", "minLength": 2}, "x", "must have at least 2 characters."),
        ({"type": "string", "enum": ["a", "b"]}, "c", "must be one of a, b."),
        ({"type": "string", "enum": ["/etc", "b"]}, "c", "must be one of the declared values."),
        ({"type": "string", "pattern": "[a-z]+"}, "a1", "must have the form [a-z]+."),
        ({"type": "string", "pattern": "[a-z]+"}, "a\n", "must not hold line ends"),
        ({"type": "string", "pattern": "/[a-z]+"}, "a", "the form that the action declares."),
        ({"type": "integer"}, "1", "must be a whole number."),
        ({"type": "integer"}, 1.0, "must be a whole number."),
        ({"type": "integer"}, True, "must be a whole number."),
        ({"type": "integer", "minimum": 1}, 0, "must be at least 1."),
        ({"type": "integer", "maximum": 9}, 10, "must be at most 9."),
        ({"type": "integer"}, 10**400, "must be at most 9223372036854775807."),
        ({"type": "integer"}, -5, "must not begin with a hyphen."),
        ({"type": "boolean"}, "true", "must be true or false."),
        ({"type": "boolean"}, 1, "must be true or false."),
        ({"type": "string"}, ..., "is required."),
    ],
)
def test_what_breaks_a_rule_is_named_with_it(
    rules: dict[str, Any], value: Any, complaint: str
) -> None:
    given = {} if value is ... else {"x": value}
    with pytest.raises(InvalidParameter) as error:
        resolve(["{x}"], {"x": rules}, **given)
    assert str(error.value).startswith("params.x: ")
    assert complaint in str(error.value)


def test_what_is_not_declared_is_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"params\.y: is not a param"):
        resolve([], {}, y="1")


@pytest.mark.parametrize(
    ("argv", "values", "fine"),
    [
        (["{a}"], {"a": "-x", "b": ""}, False),
        (["--", "{a}"], {"a": "-x", "b": ""}, True),
        (["{a}", "--"], {"a": "-x", "b": ""}, False),
        (["{b}", "{a}"], {"a": "-x", "b": "--"}, False),
        (["{a}{b}"], {"a": "", "b": "-x"}, False),
        (["{a}-x", "{b}"], {"a": "", "b": "y"}, False),
        (["--size={a}"], {"a": "-x", "b": ""}, True),
        (["-{a}"], {"a": "-x", "b": ""}, True),
        (["{a}-x"], {"a": "y", "b": ""}, True),
    ],
)
def test_no_value_becomes_an_option(argv: list[str], values: dict[str, str], fine: bool) -> None:
    rest = [] if any("{b}" in argument for argument in argv) else ["b={b}"]
    declared = {"a": {"type": "string"}, "b": {"type": "string"}}
    if fine:
        resolve([*argv, *rest], declared, **values)
    else:
        with pytest.raises(InvalidParameter, match="hyphen"):
            resolve([*argv, *rest], declared, **values)


def test_braces_that_name_no_parameter_stand_for_themselves() -> None:
    made = resolve(["{print $1}", "{y}", "{{x}}"], {"x": {"type": "string"}}, x="1")
    assert made.argv == ("/bin/x", "{print $1}", "{y}", "{1}")


def test_a_secret_is_passed_beside_the_arguments_and_shown_nowhere() -> None:
    declared = {
        "token": {"type": "secret", "pass_as": "env:TOKEN"},
        "key": {"type": "secret", "pass_as": "fd:3", "allow_unprintable": True},
        "none": {"type": "secret", "pass_as": "fd:4", "required": False},
    }
    made = resolve(["-v"], declared, token="hunter2", key="two\nlines")
    assert made.argv == ("/bin/x", "-v")
    assert made.values == {"token": MASK, "key": MASK}
    assert (made.variables, made.descriptors) == ({"TOKEN": "hunter2"}, {"3": "two\nlines"})
    assert set(made.secrets) == {"hunter2", "two\nlines"}
    with pytest.raises(InvalidParameter) as error:
        resolve([], declared, token="abc\u202e", key="12345")
    assert "abc" not in str(error.value)


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("argv", "declared", "complaint"),
    [
        ([], [], "must be an object"),
        ([], {f"p{number}": STRING for number in range(33)}, "at most 32"),
        (["{x}"], {"x": "string"}, "parameters.x must be an object"),
        (["{X}"], {"X": STRING}, "no name for a parameter"),
        (["{python}"], {"python": STRING}, "no name for a parameter"),
        (["{x}"], {"x": {}}, "x.type must be one of string, integer, boolean, secret"),
        (["{x}"], {"x": {"type": ["string"]}}, "x.type must be one of"),
        (["{x}"], {"x": STRING | {"format": "uri"}}, "x.format is not known for the type string"),
        (["{x}"], {"x": {"type": "boolean", "enum": [True]}}, "x.enum is not known"),
        (["{x}"], {"x": STRING | {"title": "a\nb"}}, "x.title must be a text"),
        (["{x}"], {"x": STRING | {"required": 1}}, "x.required must be true or false"),
        (["{x}"], {"x": STRING | {"required": True, "default": "a"}}, "needs no default"),
        (["{x}"], {"x": STRING | {"pattern": "(a"}}, "x.pattern is no regular expression"),
        (["{x}"], {"x": STRING | {"pattern": "(?i)a"}}, "x.pattern sets flags"),
        (["{x}"], {"x": STRING | {"pattern": 1}}, "x.pattern must be a text"),
        (["{x}"], {"x": STRING | {"pattern": "a{900}", "maxLength": 900}}, "too large for texts"),
        (["{x}"], {"x": STRING | {"maxLength": 30_001}}, "between 0 and 30000"),
        (["{x}"], {"x": STRING | {"minLength": 5, "maxLength": 4}}, "in order"),
        (["{x}"], {"x": STRING | {"minLength": "1"}}, "minLength must be a whole number"),
        (["{x}"], {"x": STRING | {"default": 1}}, "x.default: must be a text"),
        (["{x}"], {"x": STRING | {"default": "ab", "maxLength": 1}}, "x.default: must have at"),
        (["{x}"], {"x": STRING | {"enum": []}}, "x.enum must be a list"),
        (["{x}"], {"x": STRING | {"enum": ["a", "a"]}}, "x.enum must be a list"),
        (["{x}"], {"x": STRING | {"enum": ["a\nb"]}}, "x.enum: must not hold line ends"),
        (["{x}"], {"x": {"type": "integer", "minimum": 2, "maximum": 1}}, "in order"),
        (["{x}"], {"x": {"type": "integer", "maximum": 2**63}}, "64-bit"),
        (["{x}"], {"x": {"type": "integer", "default": 0, "minimum": 1}}, "must be at least 1"),
        (["{x}"], {"x": {"type": "boolean", "flag": ""}}, "x.flag must be the argument"),
        (["a{x}"], {"x": {"type": "boolean", "flag": "-a"}}, "must be alone"),
        ([], {"x": {"type": "secret"}}, 'x.pass_as must be "env:NAME"'),
        ([], {"x": {"type": "secret", "pass_as": "fd:2"}}, "x.pass_as must be"),
        ([], {"x": {"type": "secret", "pass_as": "env:LD_PRELOAD"}}, "must not be set"),
        ([], {"x": {"type": "secret", "pass_as": "env:PATH"}}, "must not be set"),
        ([], {"x": {"type": "secret", "pass_as": "env:A", "minLength": 3}}, "between 4 and"),
        ([], {"x": {"type": "secret", "pass_as": "env:A", "default": "abcd"}}, "default is not"),
        (["{x}"], {"x": {"type": "secret", "pass_as": "env:A"}}, "is secret"),
        (
            [],
            {name: {"type": "secret", "pass_as": "env:A"} for name in "xy"},
            "y.pass_as: env:A is taken",
        ),
        ([], {"x": STRING}, "does not stand in argv"),
    ],
)
def test_a_declaration_that_is_not_understood_is_refused(
    argv: list[str], declared: Any, complaint: str
) -> None:
    with pytest.raises(InvalidAction) as error:
        Parameters(("/bin/x", *argv), declared)
    assert complaint in str(error.value)


def test_no_parameter_names_the_program() -> None:
    with pytest.raises(InvalidAction, match="no parameter may stand in it"):
        Parameters(("/bin/{x}", "{x}"), {"x": STRING})
