"""``audit verify``: hash everything again and hold it against what was signed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError

from audit import verification_requests
from audit.log_verification import verify_log
from audit.note import MalformedNoteError, VerifierKey

HELP = "verify every row, the tree, all checkpoints and the journal; exit 1 when damage is found"
SHOWN = 20


def configure(parser: ArgumentParser) -> None:
    """Declare what may be chosen."""
    parser.add_argument("--jobs", type=int, help="processes that hash rows; default: all cores")
    parser.add_argument(
        "--vkey",
        action="append",
        default=[],
        help="a public key that you noted elsewhere; then only such keys are believed",
    )
    parser.add_argument(
        "--for-request",
        type=UUID,
        help="carry out a verification that was asked for in the portal (the keeper does)",
    )


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Verify; print the findings. Returns 1 when there are any."""
    if options["for_request"]:
        verification_requests.carry_out(options["for_request"])
        return 0
    told = _Progress(err)
    found = verify_log(_keys(options["vkey"]), jobs=options["jobs"], progress=told)
    for each in found.damage[:SHOWN]:
        where = "" if each.leaf is None else f"leaf {each.leaf}: "
        out.write(f"DAMAGE  {each.kind.value:14} {where}{each.message}")
    if len(found.damage) > SHOWN:
        out.write(f"        … and {len(found.damage) - SHOWN} more")
    for line in (
        f"sealed   {found.sealed} rows",
        f"archived {found.archived} of them stand in bundles; verify those with audit/verify.py",
        f"unsealed {found.unsealed} rows wait for the next checkpoint",
        f"signed   {found.checkpoints} checkpoints were checked, the last at {found.last} rows",
        f"keys     {', '.join(found.vkeys) or 'none yet'}",
        f"journal  {found.waiting} rows wait to be replayed",
        f"took     {found.took_s:.1f} s, {max(1, found.sealed) / found.took_s:.0f} rows/s",
        "DAMAGED" if found.damage else "OK",
    ):
        out.write(line)
    return 1 if found.damage else 0


def _keys(vkeys: list[str]) -> list[VerifierKey]:
    """Return the keys that were given."""
    try:
        return [VerifierKey.parse(text) for text in vkeys]
    except MalformedNoteError as error:
        raise CommandError(f"--vkey: {error}") from error


class _Progress:
    """Tells on a terminal how far the hashing has come."""

    def __init__(self, err: Any) -> None:
        self._err = err

    def __call__(self, done: int, size: int) -> None:
        """Say it, over the last saying."""
        if self._err.isatty():
            self._err.write(f"\r{done} of {size} rows", ending="")
