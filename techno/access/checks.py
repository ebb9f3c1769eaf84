"""System checks of keys and people (``techno.E2xx`` and ``techno.W2xx``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from techno.access.key_format import PEPPER_LEAST

ENVIRONMENT_KEY_LEAST = 20
#: So many keys a warning names.
SHOWN = 10


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


@register(Tags.security)
def digests_have_a_pepper(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A pepper is a secret like others: long, and there."""
    hint = "Set TECHNO_KEY_PEPPER to `openssl rand -hex 32`, the same on all hosts."
    if not settings.KEY_PEPPER:
        return [
            Warning("Digests of API keys are made without a pepper.", hint=hint, id="techno.W203")
        ]
    if len(settings.KEY_PEPPER) < PEPPER_LEAST:
        return [
            Error(
                f"TECHNO_KEY_PEPPER is shorter than {PEPPER_LEAST} characters.",
                hint=hint,
                id="techno.E203",
            )
        ]
    return []


@register(Tags.database)
def keys_can_be_recognised_and_end(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Every live key ends some day, and its digest is one that can be made here."""
    from techno.access.models import ApiKey

    if not databases:
        return []
    try:
        living = ApiKey.objects.filter(revoked_at__isnull=True)
        endless = list(
            living.filter(expires_at__isnull=True).values_list("prefix", flat=True)[:SHOWN]
        )
        foreign = _made_elsewhere(living.values_list("prefix", "digest"))
    except DatabaseError:
        return []  # not migrated yet, or away: other checks tell
    found: list[CheckMessage] = []
    if endless:
        found.append(
            Warning(
                f"These API keys never end: {', '.join(endless)}.",
                hint="Give each an end: `manage.py apikey restrict PREFIX --days 90`.",
                id="techno.W204",
            )
        )
    if foreign:
        found.append(
            Warning(
                f"These API keys were made under a pepper not known here: {', '.join(foreign)}.",
                hint="They are refused. Set TECHNO_KEY_PEPPER_PREVIOUS to it, or rotate them.",
                id="techno.W205",
            )
        )
    return found


def _made_elsewhere(keys: Iterable[tuple[str, str]]) -> list[str]:
    from techno.access.key_format import PEPPERED, PLAIN, made_with
    from techno.access.peppers import known_peppers

    known = {PLAIN, *(f"{PEPPERED}:{pepper.identity}" for pepper in known_peppers())}
    return [prefix for prefix, digest in keys if made_with(digest) not in known][:SHOWN]
