"""System checks of the executor (``techno.E3xx`` and ``techno.W3xx``)."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


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
    return [message for action in actions for message in _about(action.name, action.argv[0])]


def _about(name: str, program: str) -> list[CheckMessage]:
    if not os.access(program, os.X_OK):
        return [
            Warning(
                f"The program of {name}, {program}, cannot be executed on this host.",
                hint="Install it, correct the action, or disable it.",
                id="techno.W301",
            )
        ]
    if os.stat(program).st_mode & WRITABLE_BY_OTHERS and not os.path.islink(program):
        return [
            Warning(
                f"The program of {name}, {program}, can be changed by others than its owner.",
                hint=f"chmod go-w {program}",
                id="techno.W302",
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
    if threads > settings.RUN_SLOTS + settings.RUN_WAITERS:
        return []
    return [
        Warning(
            "Running and waiting commands can hold every thread of a web process.",
            hint="Keep TECHNO_RUN_SLOTS + TECHNO_RUN_WAITERS below TECHNO_THREADS.",
            id="techno.W303",
        )
    ]
