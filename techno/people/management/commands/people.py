"""``manage.py people``: what has to be done for people on the host, when the portal cannot."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from techno.acts import governed_command, recorded_change
from techno.people.reset import end_all_sessions, forget_second_factor


class Command(BaseCommand):
    """Lets somebody in again, or puts them out."""

    help = "Forget somebody's second factors, or end their sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take a verb and a name."""
        parser.add_argument("verb", choices=["forget-factors", "end-sessions"])
        parser.add_argument("name", help="the name with which the person signs in")

    def handle(self, *args: Any, verb: str, name: str, **options: Any) -> None:
        """Do it. Raises ``CommandError`` when nobody has that name."""
        user = User.objects.filter(username=name).first()
        if user is None:
            raise CommandError(f"Nobody is called {name!r}.")
        if verb == "forget-factors":
            count = forget_second_factor(governed_command("factor.forget"), user)
            self.stdout.write(f"{count} second factors of {name} are forgotten.")
            return
        with recorded_change(
            governed_command("session.end"), "session.end", {"of": name}
        ) as detail:
            detail["sessions"] = end_all_sessions(user)
        self.stdout.write(f"{detail['sessions']} sessions of {name} are ended.")
