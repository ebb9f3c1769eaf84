"""``manage.py reason_codes [--check|--write]``: the registry as the documentation's table."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from techno.governance.reason_codes import ReasonCode

DOCUMENT = Path("docs") / "reason-codes.md"
UNCHANGED = "as it was"

_HEAD = """\
# Reason codes

<!-- Made by `manage.py reason_codes --write` from techno/governance/reason_codes.py. -->

Every answer names in `reason_codes` why it is what it is; the audit row keeps the same list.
`G…` means that a gate said no before anything ran. `E…` tells what happened while a command ran,
or afterwards. Codes are stable for ever: a code never changes its meaning, and new ones may be
added, so a client takes a code that it does not know for what `status` says.

*Status* and *HTTP* are what an answer gets when the code decides it. “as it was” means that the
code only adds to what others decided. Two codes stand for two situations each: `G8_unknown_action`
is 200 for an unknown command, 404 for an unknown address and 405 for a wrong method;
`G10_body_parse_error` is 400 for a broken body and 415 for a wrong media type. Together with
`G17_audit_unavailable`, `E5_internal_error` is 503.
"""


def document() -> str:
    """Return the page: every code with its status, HTTP status, meaning and remedy."""
    rows = ["| code | status | HTTP | meaning | what to do |", "| --- | --- | --- | --- | --- |"]
    for member in ReasonCode:
        facts = member.value
        status = facts.status.value if facts.status else UNCHANGED
        http_status = facts.http_status or UNCHANGED
        cells = (f"`{facts.code}`", status, str(http_status), facts.meaning, facts.remedy)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([_HEAD, *rows, ""])


class Command(BaseCommand):
    """Prints the table of reason codes, writes it into the documentation, or compares the two."""

    help = "Print the page of reason codes; with --write or --check, keep the documentation's copy."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the two ways of not printing."""
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument("--write", action="store_true", help=f"write {DOCUMENT}")
        ways.add_argument("--check", action="store_true", help=f"fail unless {DOCUMENT} is in sync")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print, write or compare. Raises ``CommandError`` when the copy is out of date."""
        path = settings.BASE_DIR / DOCUMENT
        if options["write"]:
            path.write_text(document(), encoding="utf-8")
        elif options["check"]:
            if not path.is_file() or path.read_text(encoding="utf-8") != document():
                raise CommandError(
                    f"{DOCUMENT} does not match the registry: run `manage.py reason_codes --write`."
                )
        else:
            self.stdout.write(document(), ending="")
