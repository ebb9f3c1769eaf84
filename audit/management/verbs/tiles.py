"""``audit tiles``: the log as static tiles that any witness or mirror can follow."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from audit.checkpoints import make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.note import Note
from audit.publishing import publish_tiles
from audit.verification import DEADLINE_S

HELP = "bring a directory of C2SP static tiles up to date"


def configure(parser: ArgumentParser) -> None:
    """Declare where to."""
    parser.add_argument("directory", type=Path)


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Seal, sign, and write what is new."""
    with keeper_connection() as connection:
        connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
        seal_all(connection)
        signed = make_checkpoint(connection, signing_directory(), origin())
        written = publish_tiles(connection, options["directory"], Note.parse(signed.note))
    out.write(f"{written} files written, up to {signed.checkpoint.size} leaves")
    return 0
