"""The second half of verification: tree, checkpoints, memory, numbering, strays, journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from audit.checkpoint import Checkpoint
from audit.journal import FindingKind, Journal
from audit.merkle import EMPTY_ROOT, Frontier, NodeRun
from audit.note import Note, NoteError, UnknownKeyError, VerifierKey
from audit.sql import statement
from audit.verification import FINDINGS_MOST, Damage, Kind

BATCH = 20_000


def verify_tree(
    connection: psycopg.Connection[Any], size: int, wanted: list[int]
) -> tuple[list[Damage], dict[int, bytes]]:
    """Build the tree again from the leaves; compare all stored nodes.

    Returns the damage, and the roots at the sizes in ``wanted``. Everything is streamed.
    """
    frontier = Frontier()
    roots = {0: EMPTY_ROOT}
    stops = sorted({stop for stop in wanted if 0 < stop <= size} | {size})
    damage: list[Damage] = []
    for stop in stops:
        while frontier.size < stop:
            end = min(stop, frontier.size + BATCH)
            hashes = [
                bytes(row[0])
                for row in connection.execute(
                    "SELECT hash FROM audit_leaves WHERE leaf_index >= %s AND leaf_index < %s "
                    "ORDER BY leaf_index",
                    [frontier.size, end],
                    binary=True,
                )
            ]
            if len(hashes) != end - frontier.size:
                return damage, roots  # the missing leaves are reported with the rows
            for run in frontier.extend(hashes):
                if run.level and len(damage) < FINDINGS_MOST:
                    damage += _compare(connection, run)
        roots[stop] = frontier.root()
    return damage, roots


def _compare(connection: psycopg.Connection[Any], run: NodeRun) -> Iterator[Damage]:
    """Hold a run of nodes against those stored."""
    if not run.hashes:
        return
    stored = dict(
        connection.execute(
            "SELECT node_index, hash FROM audit_nodes WHERE level = %s "
            "AND node_index >= %s AND node_index < %s",
            [run.level, run.first, run.first + len(run.hashes)],
            binary=True,
        ).fetchall()
    )
    for offset, value in enumerate(run.hashes):
        index = run.first + offset
        if bytes(stored.get(index, b"")) != value:
            first_leaf = index << run.level
            yield Damage(
                Kind.TREE,
                first_leaf,
                f"node {index} of level {run.level}, over the leaves from {first_leaf}, is "
                + ("wrong" if index in stored else "missing"),
            )


def signed_checkpoints(connection: psycopg.Connection[Any]) -> list[tuple[int, str]]:
    """Return id and note of every checkpoint, oldest first."""
    rows = connection.execute("SELECT id, note FROM audit_checkpoints ORDER BY id").fetchall()
    return [(int(number), str(note)) for number, note in rows]


def parse_all(
    notes: list[tuple[int, str]], keys: list[VerifierKey]
) -> tuple[list[Damage], list[Checkpoint]]:
    """Check every checkpoint's form and signature; return the damage and the good ones."""
    damage: list[Damage] = []
    good: list[Checkpoint] = []
    for number, text in notes:
        try:
            note = Note.parse(text.encode())
            note.verify(keys)
            good.append(Checkpoint.parse(note.text))
        except UnknownKeyError:
            damage.append(
                Damage(Kind.CHECKPOINT, None, f"checkpoint {number} is signed by no known key")
            )
        except NoteError as error:
            damage.append(Damage(Kind.CHECKPOINT, None, f"checkpoint {number}: {error}"))
    return damage, good


def compare_checkpoints(
    checkpoints: list[Checkpoint], size: int, roots: dict[int, bytes], *, source: str
) -> list[Damage]:
    """Hold signed sizes and roots against the tree that was built again."""
    damage: list[Damage] = []
    sound = 0
    for checkpoint in sorted(checkpoints, key=lambda signed: signed.size):
        if checkpoint.size > size:
            damage.append(
                Damage(
                    Kind.CUT_OFF,
                    size,
                    f"{source} was signed at {checkpoint.size} rows, but only {size} are sealed: "
                    f"the leaves from {size} on were cut off",
                )
            )
        elif roots.get(checkpoint.size) == checkpoint.root:
            sound = checkpoint.size
        elif checkpoint.size in roots:
            damage.append(
                Damage(
                    Kind.CHECKPOINT,
                    sound,
                    f"{source} signed at {checkpoint.size} rows has another root: leaves between "
                    f"{sound} and {checkpoint.size - 1} are not those that were signed",
                )
            )
    return damage


def verify_strays(connection: psycopg.Connection[Any]) -> list[Damage]:
    """Find rows that came in past the triggers: without a leaf, and not waiting for one."""
    rows = connection.execute(statement("rows_without_leaf"), [FINDINGS_MOST]).fetchall()
    return [
        Damage(
            Kind.INSERTED,
            None,
            f"the row {trace_id} is neither sealed nor waiting to be: it was slipped in",
        )
        for (trace_id,) in rows
    ]


def verify_redactions(connection: psycopg.Connection[Any]) -> list[Damage]:
    """Find erasures that were not recorded as such."""
    rows = connection.execute(statement("unrecorded_redactions"), [FINDINGS_MOST]).fetchall()
    return [
        Damage(Kind.CHANGED, None, f"personal values of the row {trace_id} were erased off record")
        for (trace_id,) in rows
    ]


def verify_journal(journal: Journal) -> tuple[list[Damage], int]:
    """Read the journal; return its damage, and how many records wait in it."""
    damage: list[Damage] = []
    waiting = 0
    for finding in journal.inspect():
        if finding.kind is FindingKind.DAMAGED:
            damage.append(Damage(Kind.JOURNAL, None, f"journal: {finding}"))
        elif finding.kind is FindingKind.RECORD and not finding.delivered:
            waiting += 1
    return damage, waiting
