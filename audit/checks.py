"""System checks of the audit log (``techno.E1xx`` and ``techno.W1xx``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from audit.privileges import changeable_tables
from techno.database.current import store
from techno.database.errors import StoreError


@register(Tags.database)
def running_role_cannot_change_rows(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Warn when the role that serves requests could alter or remove audit rows."""
    from techno import env

    if not databases or env.owner_role():
        return []
    try:
        tables = changeable_tables(store().reads.rows)
    except StoreError as error:
        return [
            Error(
                f"The database cannot be asked who may change audit rows: {error}".strip(),
                hint="Start PostgreSQL and run the check again.",
                id="techno.E101",
            )
        ]
    if not tables:
        return []
    return [
        Warning(
            f"The running database role could change rows of {', '.join(tables)}.",
            hint=(
                "Let a separate role own the schema (TECHNO_MIGRATION_DATABASE_URL) and give the "
                "service a role without ownership; docs/INSTALLATION.md has the SQL."
            ),
            id="techno.W101",
        )
    ]


@register()
def witnesses_have_keys(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[CheckMessage]:
    """A witness is worth what its key is: cosignatures of unknown keys prove nothing."""
    from django.conf import settings

    from audit.note import COSIGNATURE, NoteError, VerifierKey

    messages: list[CheckMessage] = []
    for vkey in settings.AUDIT_WITNESS_KEYS:
        try:
            if VerifierKey.parse(vkey).key_type == COSIGNATURE:
                continue
        except NoteError:
            pass
        messages.append(
            Error(
                f"TECHNO_AUDIT_WITNESS_KEYS holds {vkey[:60]!r}, which is no cosigning key.",
                hint="Use the witness's verifier key (name+id+key) of type 0x04.",
                id="techno.E102",
            )
        )
    if settings.AUDIT_WITNESSES and not settings.AUDIT_WITNESS_KEYS:
        messages.append(
            Error(
                "TECHNO_AUDIT_WITNESSES is set, but none of their keys is known.",
                hint="Set TECHNO_AUDIT_WITNESS_KEYS to the witnesses' verifier keys.",
                id="techno.E103",
            )
        )
    return messages
