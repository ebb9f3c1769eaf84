"""``manage.py actions load | check | export | enable | disable``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from audit.recorder import AuditUnavailable
from executor.action_changes import switch_action
from executor.action_export import exported
from executor.action_files import BadActionFile, Planned, files_in, plan, read_actions
from executor.action_loading import load_actions
from executor.models import Action
from techno.acts import Detail, governed_command


class Command(BaseCommand):
    """Loads actions from versioned files, compares, writes and switches them."""

    help = "Load actions from TOML files; without FILE, those that ship with the service."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        load = verbs.add_parser("load", help="bring the registry in line with files")
        check = verbs.add_parser("check", help="tell what is wrong, or what loading would change")
        for verb in (load, check):
            verb.add_argument("files", nargs="*", type=Path, help="files, or directories of them")
        export = verbs.add_parser("export", help="write the registry as a file")
        export.add_argument("names", nargs="*", help="the actions; without any, all")
        for name, told in (("enable", "let an action run"), ("disable", "keep one from running")):
            verbs.add_parser(name, help=told).add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says. Raises ``CommandError`` naming file, line, action and rule."""
        try:
            getattr(self, f"_{options['verb']}")(options)
        except BadActionFile as error:
            raise CommandError(str(error)) from error
        except AuditUnavailable as error:
            raise CommandError(f"No row can be written, so nothing changes: {error}") from error
        except DatabaseError as error:
            raise CommandError(f"The database refused, so nothing changes: {error}") from error

    def _load(self, options: dict[str, Any]) -> None:
        self._go_through(options["files"], change=True)

    def _check(self, options: dict[str, Any]) -> None:
        self._go_through(options["files"], change=False)

    def _go_through(self, given: list[Path], *, change: bool) -> None:
        """Read every file before the first change; then change all of it, or nothing."""
        read = [(path, read_actions(path)) for path in files_in(given)]
        _refuse_twice_named(read)
        planned_of = [(path, plan(actions)) for path, actions in read]
        if change:
            load_actions(each for _, planned in planned_of for each in planned)
        for path, planned in planned_of:
            for each in planned:
                self._tell(each)
            counted = Counter(each.kind for each in planned)
            self.stdout.write(
                f"{path.name}: {counted['created']} created, {counted['changed']} changed, "
                f"{counted['unchanged']} unchanged" + ("" if change else " (nothing was done)")
            )

    def _tell(self, planned: Planned) -> None:
        if planned.kind != "unchanged":
            self.stdout.write(f"{planned.action.name}: {planned.kind}")
            for line in difference_lines(planned.changes):
                self.stdout.write(f"  {line}")

    def _export(self, options: dict[str, Any]) -> None:
        actions = Action.objects.order_by("name")
        names = options["names"]
        if names:
            actions = actions.filter(name__in=names)
            missing = set(names).difference(actions.values_list("name", flat=True))
            if missing:
                raise CommandError(f"There is no action {sorted(missing)[0]}.")
        self.stdout.write(exported(actions), ending="")

    def _enable(self, options: dict[str, Any]) -> None:
        self._switch(options["name"], enabled=True)

    def _disable(self, options: dict[str, Any]) -> None:
        self._switch(options["name"], enabled=False)

    def _switch(self, name: str, *, enabled: bool) -> None:
        word = "enabled" if enabled else "disabled"
        try:
            changed = switch_action(governed_command(f"actions.{word[:-1]}"), name, enabled=enabled)
        except Action.DoesNotExist as error:
            raise CommandError(f"There is no action {name}.") from error
        self.stdout.write(f"{name} is {word}." if changed else f"{name} was {word} already.")


def _refuse_twice_named(read: list[tuple[Path, list[Action]]]) -> None:
    seen: dict[str, str] = {}
    for path, actions in read:
        for action in actions:
            if action.name in seen:
                raise BadActionFile(
                    f"{path.name}: action.{action.name} stands in {seen[action.name]} already."
                )
            seen[action.name] = path.name


def difference_lines(changes: Detail) -> list[str]:
    """Return a difference as lines to read."""
    names = dict.fromkeys(name.partition(".")[2] for name in changes)
    return [
        f"{name}: {changes.get(f'before.{name}')} -> {changes.get(f'after.{name}')}"
        for name in names
    ]
