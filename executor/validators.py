"""The pure rules of ``executor.argv`` as validators of Django's fields."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError

from executor.argv import InvalidAction, checked_argv, checked_environment

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
    if not isinstance(value, dict):
        raise ValidationError("parameters must be an object of declarations.")


def check_isolation(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` names limits."""
    if not isinstance(value, dict):
        raise ValidationError("isolation must be an object of limits.")


def check_approver_groups(value: Any) -> None:
    """Raise ``ValidationError`` unless ``value`` is a list of groups' names."""
    if (
        not isinstance(value, list)
        or len(value) > GROUPS_MOST
        or not all(isinstance(name, str) and 0 < len(name) <= 150 for name in value)
    ):
        raise ValidationError(f"approver_groups must be a list of at most {GROUPS_MOST} names.")


def check_reason_pattern(value: str) -> None:
    """Raise ``ValidationError`` unless ``value`` is a regular expression."""
    try:
        re.compile(value, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValidationError(f"reason_pattern is no regular expression: {error}") from error
