"""``manage.py actions load``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from executor.registry import SHIPPED_DIRECTORY, BadActionFile, load_actions


class Command(BaseCommand):
    """Loads actions from versioned files."""

    help = "Load actions from TOML files; without FILE, those that ship with the service."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verb and its files."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        load = verbs.add_parser("load", help="bring the registry in line with files")
        load.add_argument("files", nargs="*", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Load each file whole. Raises ``CommandError`` naming file, action and rule."""
        for path in options["files"] or sorted(SHIPPED_DIRECTORY.glob("*.toml")):
            try:
                loaded = load_actions(path)
            except BadActionFile as error:
                raise CommandError(str(error)) from error
            self.stdout.write(
                f"{path.name}: {len(loaded.created)} created, {len(loaded.changed)} changed, "
                f"{len(loaded.unchanged)} unchanged"
            )
