"""Bring the database to this release, and refuse one that a newer release has been at."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

# Any constant: two services that start together on one database migrate one after the other.
_LOCK = 7_305_128_640_311
_LOCK_LIMIT = "10min"


class Command(BaseCommand):
    """`manage.py prepare_database`: what `serve` runs, as the owner, before anything else."""

    help = "Apply migrations; fail with one sentence when the database is newer than this release."
    requires_system_checks = ()

    def handle(self, *_args: Any, **options: Any) -> None:
        """Check and migrate under a lock of the database."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [_LOCK_LIMIT])
            cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            cursor.execute("RESET lock_timeout")
        unknown = unknown_migrations()
        if unknown:
            raise CommandError(
                f"The database was made by a newer release (it knows {', '.join(unknown)}): run "
                "that release, or restore the backup that was made before it."
            )
        try:
            call_command("migrate", interactive=False, verbosity=options["verbosity"])
        except DatabaseError as error:
            raise CommandError(f"The database cannot be migrated: {told(error)}") from error


def told(error: DatabaseError) -> str:
    """Return what the server said, with its hint, or the driver's own words."""
    diagnosis = getattr(error.__cause__, "diag", None)
    said = (diagnosis.message_primary, diagnosis.message_hint) if diagnosis is not None else ()
    return ". ".join(text for text in said if text) or str(error).strip()


def unknown_migrations() -> list[str]:
    """Return applied migrations of our apps that this code does not have, as `app.name`.

    Rows of other apps are somebody else's, who shares the database.
    """
    loader = MigrationLoader(connection)
    known = set(loader.disk_migrations)
    known.update(key for migration in loader.disk_migrations.values() for key in migration.replaces)
    ours = loader.migrated_apps
    unknown = (key for key in loader.applied_migrations if key[0] in ours and key not in known)
    return sorted(f"{app}.{name}" for app, name in unknown)
