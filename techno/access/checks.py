"""System checks of keys and people (``techno.E2xx`` and ``techno.W2xx``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

ENVIRONMENT_KEY_LEAST = 20


@register(Tags.security)
def environment_key_is_strong(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A key from the environment must be usable in a header and hard to guess."""
    key = settings.ENVIRONMENT_API_KEY
    if not key:
        return []
    if not key.isascii() or not key.isprintable() or len(key) > 256:
        return [
            Error(
                "TECHNO_API_KEY cannot be sent in a header.",
                hint="Use at most 256 printable ASCII characters.",
                id="techno.E201",
            )
        ]
    if len(key) < ENVIRONMENT_KEY_LEAST:
        return [
            Warning(
                f"TECHNO_API_KEY is shorter than {ENVIRONMENT_KEY_LEAST} characters.",
                hint="Use a long random text, for example from `openssl rand -hex 32`.",
                id="techno.W201",
            )
        ]
    return []


@register(Tags.database)
def somebody_can_get_in(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Without any key every request is refused; say so before somebody wonders."""
    from techno.access.models import ApiKey

    if not databases or settings.ENVIRONMENT_API_KEY:
        return []
    try:
        if ApiKey.objects.filter(revoked_at__isnull=True).exists():
            return []
    except DatabaseError:
        return []  # not migrated yet, or away: other checks tell
    return [
        Warning(
            "There is no API key: every request is answered 401 G0_auth_not_configured.",
            hint="Issue one with `manage.py apikey create`, or set TECHNO_API_KEY.",
            id="techno.W202",
        )
    ]
