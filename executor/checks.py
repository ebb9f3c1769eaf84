"""System checks of the executor (``techno.E3xx`` and ``techno.W3xx``)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from executor.argv import InvalidAction
from executor.confinement import CannotConfine, account_of, confine
from executor.isolation import checked_isolation
from executor.program_files import complaint_about


@register(Tags.database)
def programs_can_be_run(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Every enabled action names a program that is there and that only its owner may change."""
    from executor.models import Action

    if not databases:
        return []
    try:
        actions = list(Action.objects.filter(enabled=True).order_by("name"))
    except DatabaseError:
        return []  # not migrated yet, or away: other checks tell
    return [message for action in actions for message in about_action(action)]


def about_action(action: Any) -> list[CheckMessage]:
    """Return what keeps an action from running as it should on this host."""
    name, program = action.name, action.argv[0]
    if action.queue:
        return []  # it runs where a worker of that queue is, maybe not here
    if not os.access(program, os.X_OK):
        return [
            Warning(
                f"The program of {name}, {program}, cannot be executed on this host.",
                hint="Install it, correct the action, or disable it.",
                id="techno.W301",
            )
        ]
    return [*_about_writers(name, program), *_about_isolation(action)]


def _about_writers(name: str, program: str) -> list[CheckMessage]:
    complaint = complaint_about(program)
    if not complaint:
        return []
    told = f"The program of {name}, {program}, could be replaced: {complaint}."
    hint = "Give the file and the directories above it to root, writable by nobody else."
    if settings.STRICT_PROGRAMS:
        return [Error(f"{told} It does not run.", hint=hint, id="techno.E302")]
    return [Warning(told, hint=hint, id="techno.W302")]


def _about_isolation(action: Any) -> list[CheckMessage]:
    if not action.isolation:
        return []
    try:
        isolation = checked_isolation(action.isolation)
        confine((), isolation, account_of(isolation), "/", writable=False)
    except (InvalidAction, CannotConfine) as error:
        return [
            Warning(
                f"{action.name} asks for what this host cannot give: {error}.",
                hint="Install what is missing, correct the action, or run it on another queue.",
                id="techno.W304",
            )
        ]
    return []


@register()
def threads_outnumber_runs(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """Some threads must be left for requests that run nothing."""
    from techno import env

    threads = env.whole("TECHNO_THREADS", default=16, least=1, most=256)
    if threads > settings.RUN_SLOTS + settings.RUN_WAITERS + settings.FOLLOWERS:
        return []
    return [
        Warning(
            "Those who run, wait and follow can hold every thread of a web process.",
            hint="Keep the sum of TECHNO_RUN_SLOTS, TECHNO_RUN_WAITERS and TECHNO_FOLLOWERS below "
            "TECHNO_THREADS.",
            id="techno.W303",
        )
    ]
