"""``manage.py runs reap``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.recorder import AuditUnavailable
from audit.spill import JournalUnavailable
from executor.reaping import reap_lost_runs
from techno.database.errors import StoreError


class Command(BaseCommand):
    """Looks after runs."""

    help = "Close the runs whose watching process is gone (E9_interrupted)."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verb."""
        parser.add_subparsers(dest="verb", required=True).add_parser(
            "reap", help="find, end and close lost runs"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Reap, and say what was found. Raises ``CommandError`` when nothing can be recorded."""
        try:
            reaped = reap_lost_runs()
        except (StoreError, AuditUnavailable, JournalUnavailable) as error:
            raise CommandError(f"Lost runs cannot be closed: {error}") from error
        for run in reaped:
            self.stdout.write(
                f"{run.execution_id}: closed as E9_interrupted, "
                f"{len(run.ended_pids)} processes ended"
            )
