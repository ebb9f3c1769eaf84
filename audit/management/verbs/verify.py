"""``audit verify``: hash everything again and hold it against what was signed."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from audit import spill
from audit.checkpoint import Checkpoint
from audit.checkpoints import known_keys
from audit.keeper import signing_directory
from audit.note import MalformedNoteError, VerifierKey
from audit.tree_verification import (
    compare_checkpoints,
    parse_all,
    signed_checkpoints,
    verify_journal,
    verify_redactions,
    verify_strays,
    verify_tree,
)
from audit.verification import DEADLINE_S, Damage, verify_rows
from techno.database.connection import DeadlineConnection, connect
from techno.database.current import connection_parameters

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


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Verify; print the findings. Returns 1 when there are any."""
    started_s = time.monotonic()
    parameters = connection_parameters()
    with connect(parameters, deadline_s=DEADLINE_S, name="techno-verify") as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        damage, facts = _verify(connection, parameters, options, err)
    took_s = time.monotonic() - started_s
    for found in damage[:SHOWN]:
        where = "" if found.leaf is None else f"leaf {found.leaf}: "
        out.write(f"DAMAGE  {found.kind.value:14} {where}{found.message}")
    if len(damage) > SHOWN:
        out.write(f"        … and {len(damage) - SHOWN} more")
    for line in facts:
        out.write(line)
    size = max(1, int(facts[0].split()[1]))
    out.write(f"took     {took_s:.1f} s, {size / took_s:.0f} rows/s")
    out.write("DAMAGED" if damage else "OK")
    return 1 if damage else 0


def _keys(connection: DeadlineConnection, vkeys: list[str]) -> list[VerifierKey]:
    """Return the keys to believe: those given, or all that this installation knows."""
    try:
        given = [VerifierKey.parse(text) for text in vkeys]
    except MalformedNoteError as error:
        raise CommandError(f"--vkey: {error}") from error
    if given:
        return given
    stored = {key.vkey: key for key in known_keys(_query(connection))}
    stored.update({key.verifier.vkey: key.verifier for key in signing_directory().current_keys()})
    return list(stored.values())


def _query(connection: DeadlineConnection) -> Any:
    return lambda sql, parameters: connection.execute(sql, parameters).fetchall()


def _verify(
    connection: DeadlineConnection, parameters: dict[str, Any], options: dict[str, Any], err: Any
) -> tuple[list[Damage], list[str]]:
    """Do all parts; return the damage, and the facts to be printed."""
    (snapshot,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
    (size,) = connection.execute(
        "SELECT greatest((SELECT size FROM audit_tree), "
        "(SELECT coalesce(max(leaf_index) + 1, 0) FROM audit_leaves))"
    ).fetchone() or (0,)
    (unsealed,) = connection.execute("SELECT count(*) FROM audit_unsealed").fetchone() or (0,)
    keys = _keys(connection, options["vkey"])
    notes = signed_checkpoints(connection)
    memory = signing_directory().remembered()
    damage, checkpoints = parse_all(notes, keys)
    told = _Progress(err, size)
    found, archived = verify_rows(parameters, snapshot, size, jobs=options["jobs"], progress=told)
    damage += found
    remembered: list[Checkpoint] = []
    if memory is not None:
        found, remembered = parse_all([(0, memory.decode("utf-8", "replace"))], keys)
        damage += found
    sizes = [checkpoint.size for checkpoint in (*checkpoints, *remembered)]
    found, roots = verify_tree(connection, size, sizes)
    damage += found
    damage += compare_checkpoints(checkpoints, size, roots, source="a checkpoint")
    damage += compare_checkpoints(
        remembered, size, roots, source="the checkpoint remembered outside of the database"
    )
    damage += verify_strays(connection)
    damage += verify_redactions(connection)
    found, waiting = verify_journal(spill.journal())
    damage += found
    return damage, [
        f"sealed   {size} rows",
        f"archived {archived} of them stand in bundles; verify those with audit/verify.py",
        f"unsealed {unsealed} rows wait for the next checkpoint",
        f"signed   {len(checkpoints)} checkpoints, the last at {max(sizes, default=0)} rows",
        f"keys     {', '.join(key.vkey for key in keys) or 'none yet'}",
        f"journal  {waiting} rows wait to be replayed",
    ]


class _Progress:
    """Tells on a terminal how far the hashing has come."""

    def __init__(self, err: Any, size: int) -> None:
        self._err = err
        self._size = size

    def __call__(self, done: int) -> None:
        """Say it, over the last saying."""
        if self._err.isatty():
            self._err.write(f"\r{done} of {self._size} rows", ending="")
