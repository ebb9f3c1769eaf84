"""``audit verify``: hash everything again and hold it against what was signed."""

from __future__ import annotations

import heapq
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from audit import spill
from audit.checkpoints import known_keys
from audit.keeper import signing_directory
from audit.note import MalformedNoteError, VerifierKey
from audit.tree_verification import (
    Findings,
    Tree,
    checked,
    signed_checkpoints,
    verify_journal,
    verify_redactions,
    verify_strays,
    verify_tree,
)
from audit.verification import DEADLINE_S, PATIENT, Damage, verify_rows
from techno.database.connection import DeadlineConnection, connect
from techno.database.current import connection_parameters

HELP = "verify every row, the tree, all checkpoints and the journal; exit 1 when damage is found"
SHOWN = 20
REMEMBERED = "the checkpoint remembered outside of the database"


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
    with connect(
        parameters, deadline_s=DEADLINE_S, name="techno-verify", settings=PATIENT
    ) as connection:
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
    memory = signing_directory().remembered()
    tree, rest = Tree(), Findings()
    remembered = list(checked(memory, keys, REMEMBERED, rest)) if memory is not None else []

    def build() -> None:
        """Build the tree, in this process, while others read the rows."""
        nonlocal tree
        signed = heapq.merge(
            signed_checkpoints(connection, keys, rest),
            remembered,
            key=lambda each: each.checkpoint.size,
        )
        tree = verify_tree(connection, size, signed, rest)
        rest.add(*verify_strays(connection), *verify_redactions(connection))

    told = _Progress(err, size)
    rows, archived = verify_rows(
        parameters, snapshot, size, jobs=options["jobs"], progress=told, meanwhile=build
    )
    found, waiting = verify_journal(spill.journal())
    findings = Findings()
    findings.add(*rows, *rest.damage, *found)
    damage = findings.damage
    return damage, [
        f"sealed   {size} rows",
        f"archived {archived} of them stand in bundles; verify those with audit/verify.py",
        f"unsealed {unsealed} rows wait for the next checkpoint",
        f"signed   {tree.checkpoints} checkpoints were checked, the last at {tree.last} rows",
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
