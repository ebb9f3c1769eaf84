"""``audit keys``: the log's signing keys, and how one is replaced by another."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from audit.checkpoints import known_keys, make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from techno.acts import governed_command
from techno.gate import conclude
from techno.governance.verdict import APPROVED

HELP = "list the log's keys; --add makes another that signs beside, --retire ends one"


def configure(parser: ArgumentParser) -> None:
    """Declare what can be done with keys."""
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--add", action="store_true", help="make a key; both sign from now on")
    change.add_argument("--retire", metavar="KEY_ID", help="let a key sign no more")


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Change what was asked for, on record, and list all keys."""
    directory = signing_directory()
    with keeper_connection() as connection:
        if options["add"]:
            seal_all(connection)
            signed = make_checkpoint(connection, directory, origin())
            with directory.locked():
                made = directory.add_key(signed.checkpoint.origin)
            _record("audit.add_key", made.verifier.key_id.hex())
            make_checkpoint(connection, directory, origin())
        elif options["retire"]:
            try:
                with directory.locked():
                    directory.retire_key(options["retire"])
            except KeyError as error:
                raise CommandError(str(error.args[0])) from error
            _record("audit.retire_key", options["retire"])
        current = {key.verifier.vkey for key in directory.current_keys()}
        keys = known_keys(lambda sql, parameters: connection.execute(sql, parameters).fetchall())
        for key in keys:
            out.write(f"{'signs' if key.vkey in current else 'was'}\t{key.vkey}")
    return 0


def _record(action: str, key_id: str) -> None:
    governed = governed_command(action)
    governed.detail["key_id"] = key_id
    conclude(governed, APPROVED)
