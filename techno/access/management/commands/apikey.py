"""``manage.py apikey create|list|show|describe|restrict|rotate|suspend|resume|revoke|scan``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from techno.access.change import (
    describe_key,
    restrict_key,
    resume_key,
    revoke_key,
    suspend_key,
)
from techno.access.issue import IssuedKey, issue_key
from techno.access.key_format import made_with
from techno.access.management.key_options import (
    add_end,
    add_terms,
    end_in,
    moment_in,
    terms_in,
)
from techno.access.models import ApiKey, all_scopes
from techno.access.rotate import rotate_key
from techno.access.scan import scan
from techno.access.terms import terms_of
from techno.governance.trace import iso

FOUND_LIVING, FOUND_NONE, UNREADABLE = 1, 0, 2
_PREFIXED = {
    "show": "everything that is known of one key",
    "suspend": "refuse a key until it is resumed",
    "resume": "accept a suspended key again",
    "revoke": "end a key for good",
}


class Command(BaseCommand):
    """The whole life of API keys, from a terminal. Each change leaves an audit row."""

    help = "Issue, list, restrict, rotate, suspend and end API keys, and find them in files."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="issue a key; its secret is printed once")
        create.add_argument("label")
        create.add_argument("--owner", default="", help="who answers for its use")
        create.add_argument("--purpose", default="", help="where it is used, and for what")
        add_terms(create)
        add_end(create)
        listing = verbs.add_parser("list", help="all keys, newest first")
        listing.add_argument("--digests", action="store_true", help="how each digest was made")
        for verb, told in _PREFIXED.items():
            verbs.add_parser(verb, help=told).add_argument("prefix")
        describe = verbs.add_parser("describe", help="change what people read of a key")
        describe.add_argument("prefix")
        for name in ("label", "owner", "purpose"):
            describe.add_argument(f"--{name}")
        restrict = verbs.add_parser("restrict", help="tighten a key; what is not named stays")
        restrict.add_argument("prefix")
        add_terms(restrict)
        add_end(restrict)
        rotate = verbs.add_parser("rotate", help="issue the next version of a key")
        rotate.add_argument("prefix")
        rotate.add_argument("--overlap", default="", help="how long the old one lives on: 7d, 12h")
        add_terms(rotate)
        add_end(rotate)
        found = verbs.add_parser("scan", help="find keys in files; sends and prints no secret")
        found.add_argument("path", nargs="+", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says. Raises ``CommandError`` with one clear sentence."""
        try:
            getattr(self, f"_{options['verb']}")(options)
        except ApiKey.DoesNotExist as error:
            raise CommandError(f"There is no key {options['prefix']!r}.") from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error

    def _create(self, options: dict[str, Any]) -> None:
        wanted: dict[str, Any] = {"scopes": all_scopes()} | terms_in(options)
        issued = issue_key(
            label=options["label"],
            owner=options["owner"],
            purpose=options["purpose"],
            expires_at=end_in(options),
            **wanted,
        )
        self._show_once(issued)

    def _rotate(self, options: dict[str, Any]) -> None:
        wanted = terms_in(options)
        ends = end_in(options)
        if ends is not None:
            wanted["expires_at"] = ends
        until = moment_in(options["overlap"]) if options["overlap"] else None
        issued = rotate_key(options["prefix"], overlap_until=until, **wanted)
        old = ApiKey.objects.get(prefix=options["prefix"])
        if old.expires_at is not None:
            self.stderr.write(f"Key {old.prefix} lives until {iso(old.expires_at)}.")
        self._show_once(issued)

    def _show_once(self, issued: IssuedKey) -> None:
        key = issued.key
        self.stderr.write(
            f"Key {key.prefix} (version {key.version}) issued; it ends "
            f"{iso(key.expires_at) if key.expires_at else 'never'}. It is shown this once:"
        )
        self.stdout.write(issued.text)

    def _restrict(self, options: dict[str, Any]) -> None:
        wanted = terms_in(options)
        ends = end_in(options)
        if ends is not None:
            wanted["expires_at"] = ends
        key = restrict_key(options["prefix"], **wanted)
        self.stdout.write(f"Key {key.prefix} ({key.label}) is restricted.")

    def _describe(self, options: dict[str, Any]) -> None:
        texts = {name: options[name] for name in ("label", "owner", "purpose")}
        key = describe_key(
            options["prefix"], **{name: text for name, text in texts.items() if text is not None}
        )
        self.stdout.write(f"Key {key.prefix} ({key.label}) is described.")

    def _list(self, options: dict[str, Any]) -> None:
        keys = ApiKey.objects.order_by("-created_at")
        if not keys:
            self.stderr.write("There are no keys yet: issue one with `apikey create LABEL`.")
        for key in keys:
            expires = key.expires_at.isoformat() if key.expires_at else "never"
            digest = f"{made_with(key.digest)}  " if options["digests"] else ""
            self.stdout.write(
                f"{key.prefix}  {key.state:9}  expires {expires}  {digest}"
                f"{','.join(key.scopes)}  {key.label}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        key = ApiKey.objects.get(prefix=options["prefix"])
        facts: dict[str, Any] = {
            "prefix": key.prefix,
            "label": key.label,
            "owner": key.owner,
            "purpose": key.purpose,
            "state": key.state,
            "version": f"{key.version} of {key.lineage or key.prefix}",
            "digest made": made_with(key.digest),
            "created": f"{iso(key.created_at)} {key.created_by_name}".strip(),
            **terms_of(key).told(),
        }
        if key.last_used_at:
            facts["last used"] = iso(key.last_used_at)
            facts["last used from"] = f"{key.last_used_address} {key.last_used_agent}"
        for name, value in facts.items():
            self.stdout.write(f"{name:15} {'-' if value in (None, '') else value}")

    def _suspend(self, options: dict[str, Any]) -> None:
        key = suspend_key(options["prefix"])
        self.stdout.write(f"Key {key.prefix} ({key.label}) is suspended.")

    def _resume(self, options: dict[str, Any]) -> None:
        key = resume_key(options["prefix"])
        self.stdout.write(f"Key {key.prefix} ({key.label}) is accepted again.")

    def _revoke(self, options: dict[str, Any]) -> None:
        key = revoke_key(options["prefix"])
        self.stdout.write(f"Key {key.prefix} ({key.label}) is revoked.")

    def _scan(self, options: dict[str, Any]) -> None:
        """Print ``path:line: prefix state`` for each key; exit 1 where one of them lives."""
        living = unreadable = False
        for found in scan(options["path"]):
            if isinstance(found, OSError):
                unreadable = True
                self.stderr.write(f"{found.filename}: {found.strerror}")
                continue
            living |= found.lives
            self.stdout.write(f"{found.path}:{found.line}: {found.prefix} {found.state}")
        if living:
            sys.exit(FOUND_LIVING)
        if unreadable:
            sys.exit(UNREADABLE)
