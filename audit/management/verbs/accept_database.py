"""``audit accept-database``: an operator's decision, on record, that this history goes on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from audit.checkpoint import Checkpoint
from audit.checkpoints import make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.note import Note, NoteError
from audit.signing import SigningDirectory
from audit.tree import tree_size
from techno.acts import governed_command
from techno.gate import conclude
from techno.governance.verdict import APPROVED

HELP = "let signing go on after the database was restored, wiped or forked; needs a reason"
REASON_LEAST = 10
REASON_MOST = 500


def configure(parser: ArgumentParser) -> None:
    """A decision like this has a reason."""
    parser.add_argument("--reason", required=True)


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Record the decision, put the old memory aside, and sign anew."""
    reason = options["reason"].strip()
    if not REASON_LEAST <= len(reason) <= REASON_MOST:
        raise CommandError(
            f"--reason must be a sentence of {REASON_LEAST} to {REASON_MOST} characters."
        )
    directory = signing_directory()
    governed = governed_command("audit.accept_database")
    with keeper_connection() as connection:
        size = tree_size(lambda sql, parameters: connection.execute(sql, parameters).fetchall())
        governed.detail.update(
            reason=reason, sealed_rows=size, remembered_rows=_remembered_size(directory)
        )
        conclude(governed, APPROVED)
        aside = directory.set_aside()
        seal_all(connection)
        signed = make_checkpoint(connection, directory, origin(), accepted=True)
    if aside is not None:
        err.write(f"The checkpoint remembered before is kept in {aside}.")
    out.write(f"Recorded as {governed.trace.trace_id}; signed at {signed.checkpoint.size} rows.")
    return 0


def _remembered_size(directory: SigningDirectory) -> int | None:
    """Return at how many rows this host last signed; ``None`` when it cannot be told."""
    note = directory.remembered()
    try:
        return None if note is None else Checkpoint.parse(Note.parse(note).text).size
    except NoteError:
        return None
