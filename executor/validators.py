"""The pure rules of ``executor.argv`` as validators of Django's fields."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

from executor.argv import InvalidAction, checked_argv, checked_environment


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
