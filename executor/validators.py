"""The pure rules of ``executor.argv`` as validators of Django's fields."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from executor.argv import InvalidAction, checked_argv, checked_environment
from executor.declarations import checked_parameters, passing
from executor.isolation import checked_isolation
from executor.parameters import Parameters
from executor.patterns import BadPattern, compiled

GROUPS_MOST = 20


def check_argv(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` is a program and its arguments."""
    try:
        checked_argv(value)
    except InvalidAction as error:
        raise ValidationError(str(error)) from error


def check_environment(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` is an object of variables."""
    try:
        checked_environment(value)
    except InvalidAction as error:
        raise ValidationError(str(error)) from error


def check_parameters(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` declares parameters."""
    try:
        checked_parameters(value)
    except InvalidAction as error:
        raise ValidationError(str(error)) from error


def check_isolation(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` names limits."""
    try:
        checked_isolation(value)
    except InvalidAction as error:
        raise ValidationError(str(error)) from error


def check_directory(value: str) -> None:
    """Raise ``ValidationError`` unless ``value`` is the absolute path of a directory."""
    if not value.startswith("/") or not value.isprintable():
        raise ValidationError("working_directory must be an absolute path, or empty.")


def check_approver_groups(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` is a list of groups' names."""
    if (
        not isinstance(value, list)
        or len(value) > GROUPS_MOST
        or not all(isinstance(name, str) and 0 < len(name) <= 150 for name in value)
    ):
        raise ValidationError(f"approver_groups must be a list of at most {GROUPS_MOST} names.")


def check_reason_pattern(value: str) -> None:
    """Raise ``ValidationError`` unless ``value`` is a pattern that can be used."""
    try:
        compiled(value)
    except BadPattern as error:
        raise ValidationError(f"reason_pattern {error}.") from error


def check_definition(argv: Any, parameters: Any, environment: Any) -> None:
    """Raise ``ValidationError`` unless arguments, parameters and variables fit each other.

    Says nothing where one of them breaks a rule of its own; that was told already.
    """
    try:
        arguments = checked_argv(argv)
        declared = checked_parameters(parameters)
        variables = checked_environment(environment)
    except InvalidAction:
        return
    try:
        Parameters(arguments, declared)
    except InvalidAction as error:
        field = "argv" if str(error).startswith("argv") else "parameters"
        raise ValidationError({field: str(error)}) from error
    for name, rules in declared.items():
        if "pass_as" in rules and passing(rules["pass_as"])[0] in variables:
            told = f"parameters.{name}.pass_as: the environment has that variable already."
            raise ValidationError({"parameters": told})
