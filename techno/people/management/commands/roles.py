"""``manage.py roles``: what each role of the release lets somebody do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from techno.people.roles import NEED_SECOND_FACTOR, ROLES


def table() -> str:
    """Return the table of ``docs/access.md``."""
    names = [role.name for role in ROLES]
    lines = [
        "| role | for whom | second factor |",
        "| --- | --- | --- |",
        *(
            f"| **{role.name}** | {role.purpose} | {'needed' if role.requires_mfa else '—'} |"
            for role in ROLES
        ),
        "",
        f"| permission | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
    ]
    for permission in sorted({one for role in ROLES for one in role.permissions}):
        mark = " ²" if permission in NEED_SECOND_FACTOR else ""
        cells = ["yes" if permission in role.permissions else "" for role in ROLES]
        lines.append(f"| `{permission}`{mark} | {' | '.join(cells)} |")
    lines += ["", "² Whoever has it, by whichever way, needs a second factor."]
    return "\n".join(lines) + "\n"


class Command(BaseCommand):
    """Prints the roles."""

    help = "Print what each role of the release lets somebody do."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the form of the table."""
        parser.add_argument("--markdown", action="store_true", help="as docs/access.md has it")

    def handle(self, *args: Any, markdown: bool = False, **options: Any) -> None:
        """Print the roles."""
        if markdown:
            self.stdout.write(table(), ending="")
            return
        for role in ROLES:
            self.stdout.write(f"{role.name}: {role.purpose}")
            for permission in sorted(role.permissions):
                self.stdout.write(f"  {permission}")
