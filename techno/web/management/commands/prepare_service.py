"""What every start does once the schema is right: actions, lost runs, the first login and key."""

from __future__ import annotations

import io
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """`manage.py prepare_service`: the steps of a start in one process, as the application."""

    help = "Load the shipped actions, close lost runs, make the first login and key."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run the steps; only what a person must see is printed."""
        call_command("actions", "load", stdout=io.StringIO())
        call_command("runs", "reap", stdout=self.stdout)
        call_command("first_start", stdout=self.stdout)
