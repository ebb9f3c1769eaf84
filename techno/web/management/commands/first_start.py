"""``manage.py first_start``: the first login and the first key, made once and shown once."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from techno import env
from techno.access.issue import issue_key
from techno.access.models import ApiKey, all_scopes
from techno.people.models import FirstPassword

FIRST_USER = "admin"
PASSWORD_BYTES = 15


class Command(BaseCommand):
    """Makes the first staff user and the first API key where there are none."""

    help = "Create the first staff user and the first API key, once, and print them."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the address, and what was made; a second start only prints the address."""
        password = self._first_user()
        key = self._first_key()
        address = f"http://{_shown_host()}:{env.PORT}"
        lines = ["", f"  Portal   {address}/admin/"]
        if password:
            lines += [
                f"  Login    {FIRST_USER}",
                f"  Password {password}",
                "           (shown this once; change it under your name in the portal)",
            ]
        if key:
            lines += [f"  API key  {key}", "           (shown this once; only its digest is kept)"]
        lines += [
            "",
            "  Try it:",
            f"  curl -s {address}/api/execute -H 'X-API-Key: {key or '<your key>'}' \\",
            "    -H 'Content-Type: application/json' -d '{\"command\": \"GET_STATUS\"}'",
            "",
        ]
        self.stdout.write("\n".join(lines))

    def _first_user(self) -> str:
        """Make the first staff user; return its password, empty when somebody is there."""
        users = get_user_model().objects
        if users.filter(is_staff=True, is_active=True).exists():
            return ""
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        FirstPassword.note(users.create_superuser(username=FIRST_USER, password=password))
        return password

    def _first_key(self) -> str:
        """Issue the first key; return its text, empty when one exists or the environment has it."""
        if settings.ENVIRONMENT_API_KEY or ApiKey.objects.exists():
            return ""
        issued = issue_key(
            label="first key", owner=FIRST_USER, scopes=all_scopes(), created_by=None
        )
        return issued.text


def _shown_host() -> str:
    """Return a host that can be opened in a browser here."""
    if env.HOST in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{env.HOST}]" if ":" in env.HOST else env.HOST
