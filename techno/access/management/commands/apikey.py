"""``manage.py apikey create|list|revoke``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from techno.access.issue import issue_key, revoke_key
from techno.access.models import ApiKey, all_scopes


class Command(BaseCommand):
    """Issues, lists and revokes API keys."""

    help = "Issue, list and revoke API keys."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the three verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="issue a key; its secret is printed once")
        create.add_argument("label")
        create.add_argument("--owner", default="")
        create.add_argument(
            "--scope", action="append", choices=all_scopes(), help="repeatable; default: all"
        )
        create.add_argument("--action", action="append", help="allowed action; default: all")
        expiry = create.add_mutually_exclusive_group()
        expiry.add_argument("--days", type=int, help="expire after so many days")
        expiry.add_argument("--expires", help="expire at this ISO 8601 time")
        verbs.add_parser("list", help="all keys, newest first")
        revoke = verbs.add_parser("revoke", help="end a key for good")
        revoke.add_argument("prefix")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says. Raises ``CommandError`` with one clear sentence."""
        getattr(self, f"_{options['verb']}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        try:
            issued = issue_key(
                label=options["label"],
                owner=options["owner"],
                scopes=options["scope"] or all_scopes(),
                allowed_actions=options["action"],
                expires_at=_expiry(options["days"], options["expires"]),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stderr.write(f"Key {issued.key.prefix} issued. It is shown this once:")
        self.stdout.write(issued.text)

    def _list(self, options: dict[str, Any]) -> None:
        keys = ApiKey.objects.order_by("-created_at")
        if not keys:
            self.stderr.write("There are no keys yet: issue one with `apikey create LABEL`.")
        for key in keys:
            expires = key.expires_at.isoformat() if key.expires_at else "never"
            self.stdout.write(
                f"{key.prefix}  {key.state:8}  expires {expires}  "
                f"{','.join(key.scopes)}  {key.label}"
            )

    def _revoke(self, options: dict[str, Any]) -> None:
        try:
            key = revoke_key(options["prefix"])
        except ApiKey.DoesNotExist as error:
            raise CommandError(f"There is no key {options['prefix']!r}.") from error
        self.stdout.write(f"Key {key.prefix} ({key.label}) is revoked.")


def _expiry(days: int | None, moment: str | None) -> datetime | None:
    """Return when the key ends, from either way of saying it."""
    if days is not None:
        return timezone.now() + timedelta(days=days)
    if moment is None:
        return None
    parsed = parse_datetime(moment)
    if parsed is None:
        raise CommandError("--expires must be an ISO 8601 time, for example 2027-01-31T12:00:00Z.")
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)
