"""``manage.py schedules list|add|pause|resume|run-now``."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.recorder import AuditUnavailable
from executor.models import ActionSchedule
from executor.schedules import Plan, add_schedule, pause_schedule, resume_schedule, run_now
from techno.acts import governed_command
from techno.database.errors import StoreError


class Command(BaseCommand):
    """Keeps the actions that run by the clock."""

    help = "List, add, pause and resume schedules, and run one now."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="all schedules, with when they are due next")
        add = verbs.add_parser("add", help="have an action run by the clock")
        add.add_argument("name")
        add.add_argument("action")
        add.add_argument("expression", help='five fields, for example "30 2 * * *"')
        add.add_argument("--zone", default="UTC", help="a time zone, for example Europe/Berlin")
        add.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
        add.add_argument("--key", default="", help="the prefix of the key that it runs as")
        add.add_argument("--reason", default="", help="for approvers, where the action needs them")
        for verb in ("pause", "resume", "run-now"):
            verbs.add_parser(verb).add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says. Raises ``CommandError`` with one clear sentence."""
        try:
            getattr(self, "_" + options["verb"].replace("-", "_"))(options)
        except ValidationError as error:
            raise CommandError(_told(error)) from error
        except (StoreError, AuditUnavailable) as error:
            raise CommandError(f"Nothing was done: {error}") from error

    def _list(self, options: dict[str, Any]) -> None:
        schedules = ActionSchedule.objects.order_by("name")
        if not schedules:
            self.stderr.write("There are no schedules yet: add one with `schedules add`.")
        for each in schedules:
            due = "paused"
            if each.enabled and each.next_due_at is not None:
                due = each.next_due_at.astimezone(ZoneInfo(each.zone)).isoformat()
            runs_as = f"key {each.key_prefix}" if each.key_prefix else "itself"
            self.stdout.write(
                f"{each.name}  {each.expression} {each.zone}  {each.action}  "
                f"as {runs_as}  next {due}"
            )

    def _add(self, options: dict[str, Any]) -> None:
        plan = Plan(
            name=options["name"],
            action=options["action"],
            expression=options["expression"],
            zone=options["zone"],
            parameters=dict(_parameter(text) for text in options["param"]),
            reason=options["reason"],
            key_prefix=options["key"],
        )
        schedule = add_schedule(governed_command("schedules.add"), plan)
        self.stdout.write(f"{schedule.name} is due at {schedule.next_due_at:%Y-%m-%d %H:%M} UTC.")

    def _pause(self, options: dict[str, Any]) -> None:
        pause_schedule(governed_command("schedules.pause"), _found(options["name"]))
        self.stdout.write(f"{options['name']} is paused.")

    def _resume(self, options: dict[str, Any]) -> None:
        resume_schedule(governed_command("schedules.resume"), _found(options["name"]))
        self.stdout.write(f"{options['name']} is due again.")

    def _run_now(self, options: dict[str, Any]) -> None:
        fired = run_now(governed_command("schedules.run-now"), _found(options["name"]))
        told = " ".join([fired.verdict.status.value, *fired.verdict.codes, fired.execution_id])
        self.stdout.write(told.strip())
        if fired.verdict.failed:
            raise CommandError(fired.verdict.message)


def _found(name: str) -> ActionSchedule:
    schedule = ActionSchedule.objects.filter(name=name).first()
    if schedule is None:
        raise CommandError(f"There is no schedule {name!r}.")
    return schedule


def _parameter(text: str) -> tuple[str, object]:
    """Return a parameter; a value that is a JSON number or boolean is one, others are texts."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise CommandError(f"--param takes NAME=VALUE, not {text!r}.")
    try:
        read = json.loads(value)
    except ValueError:
        return name, value
    return name, read if isinstance(read, bool | int) else value


def _told(error: ValidationError) -> str:
    if hasattr(error, "message_dict"):
        return " ".join(f"{name}: {' '.join(rules)}" for name, rules in error.message_dict.items())
    return " ".join(error.messages)
