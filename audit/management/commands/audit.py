"""``manage.py audit <verb>``: everything that is done to the log from a terminal."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.management import verbs
from audit.management.failures import EXPECTED, sentence


def _verbs() -> dict[str, ModuleType]:
    """Return the verbs by the name under which they are called."""
    return {
        module.name.replace("_", "-"): importlib.import_module(f"{verbs.__name__}.{module.name}")
        for module in pkgutil.iter_modules(verbs.__path__)
    }


class Command(BaseCommand):
    """Keeps, proves, reads and moves the audit log."""

    help = "Keep, prove, export and archive the audit log."

    def add_arguments(self, parser: CommandParser) -> None:
        """Let each verb declare its own."""
        choices = parser.add_subparsers(dest="verb", required=True, metavar="verb")
        for name, module in sorted(_verbs().items()):
            module.configure(choices.add_parser(name, help=module.HELP, description=module.HELP))

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb. Raises ``CommandError`` with one sentence for what can be expected."""
        try:
            code = _verbs()[options["verb"]].run(options, self.stdout, self.stderr)
        except EXPECTED as error:
            raise CommandError(sentence(error)) from error
        if code:
            raise SystemExit(code)
