"""``audit checkpoint``: seal what waits and sign the tree now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from audit.checkpoints import make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory

HELP = "seal what waits, sign a checkpoint, and print it"


def configure(parser: ArgumentParser) -> None:
    """There is nothing to choose."""


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Seal and sign."""
    with keeper_connection() as connection:
        sealed = seal_all(connection)
        signed = make_checkpoint(connection, signing_directory(), origin())
    err.write(f"{sealed} rows sealed; {'signed now' if signed.fresh else 'signed before'}")
    out.write(signed.note.decode(), ending="")
    return 0
