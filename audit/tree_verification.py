"""The second half of verification: tree, checkpoints, memory, numbering, strays, journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg

from audit.checkpoint import Checkpoint
from audit.journal import FindingKind, Journal
from audit.merkle import Frontier, NodeRun
from audit.note import Note, NoteError, UnknownKeyError, VerifierKey
from audit.sql import statement
from audit.verification import FINDINGS_MOST, Damage, Kind

BATCH = 20_000
CHECKPOINTS_READ = 1_000


@dataclass(slots=True)
class Findings:
    """What is wrong, the first of each kind; a log of which nothing holds has no end of it."""

    damage: list[Damage] = field(default_factory=list)
    _seen: Counter[Kind] = field(default_factory=Counter)

    def add(self, *found: Damage) -> None:
        """Keep these, unless there are enough of their kind."""
        for each in found:
            self._seen[each.kind] += 1
            if self._seen[each.kind] <= FINDINGS_MOST:
                self.damage.append(each)


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint whose signature verified, and what it is called when it does not fit."""

    source: str
    checkpoint: Checkpoint


@dataclass(slots=True)
class Tree:
    """What came of building the tree again: how many checkpoints hold it, the last at ``last``."""

    checkpoints: int = 0
    last: int = 0


def verify_tree(
    connection: psycopg.Connection[Any], size: int, signed: Iterable[Signed], findings: Findings
) -> Tree:
    """Build the tree again from the leaves; hold all stored nodes and all checkpoints against it.

    ``signed`` comes in the order of sizes. Everything is streamed: memory stays flat.
    """
    frontier, found, sound = Frontier(), Tree(), 0
    for each in signed:
        found.checkpoints += 1
        found.last = max(found.last, each.checkpoint.size)
        if each.checkpoint.size > size:
            findings.add(_cut_off(each, size))
        elif not _grow(connection, frontier, each.checkpoint.size, findings):
            continue  # the missing leaves are reported with the rows
        elif frontier.root() == each.checkpoint.root:
            sound = each.checkpoint.size
        else:
            findings.add(_other_root(each, sound))
    _grow(connection, frontier, size, findings)
    return found


def _grow(
    connection: psycopg.Connection[Any], frontier: Frontier, size: int, findings: Findings
) -> bool:
    """Add the leaves up to ``size``; ``False`` when some are missing."""
    while frontier.size < size:
        end = min(size, frontier.size + BATCH)
        rows = connection.execute(
            "SELECT hash FROM audit_leaves WHERE leaf_index >= %s AND leaf_index < %s "
            "ORDER BY leaf_index",
            [frontier.size, end],
            binary=True,
        ).fetchall()
        if len(rows) != end - frontier.size:
            return False
        for run in frontier.extend([bytes(row[0]) for row in rows]):
            if run.level:
                findings.add(*_compare(connection, run))
    return frontier.size == size


def _cut_off(signed: Signed, size: int) -> Damage:
    return Damage(
        Kind.CUT_OFF,
        size,
        f"{signed.source} was signed at {signed.checkpoint.size} rows, but only {size} are "
        f"sealed: the leaves from {size} on were cut off",
    )


def _other_root(signed: Signed, sound: int) -> Damage:
    size = signed.checkpoint.size
    return Damage(
        Kind.CHECKPOINT,
        sound,
        f"{signed.source} signed at {size} rows has another root: leaves between {sound} and "
        f"{size - 1} are not those that were signed",
    )


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


def signed_checkpoints(
    connection: psycopg.Connection[Any], keys: list[VerifierKey], findings: Findings
) -> Iterator[Signed]:
    """Yield the database's checkpoints whose signatures verify, in the order of their sizes.

    ``connection`` is within a transaction.
    """
    with connection.cursor(name="checkpoints") as cursor:
        cursor.itersize = CHECKPOINTS_READ
        cursor.execute("SELECT id, size, note FROM audit_checkpoints ORDER BY size, id")
        for number, size, text in cursor:
            name = f"checkpoint {number}"
            for signed in checked(text.encode(), keys, name, findings):
                if signed.checkpoint.size == size:
                    yield signed
                else:
                    findings.add(
                        Damage(Kind.CHECKPOINT, None, f"{name} is kept as one of {size} rows")
                    )


def checked(
    data: bytes, keys: list[VerifierKey], source: str, findings: Findings
) -> Iterator[Signed]:
    """Yield the checkpoint in ``data`` when its form and signature are good."""
    try:
        note = Note.parse(data)
        note.verify(keys)
        yield Signed(source, Checkpoint.parse(note.text))
    except UnknownKeyError:
        findings.add(Damage(Kind.CHECKPOINT, None, f"{source} is signed by no known key"))
    except NoteError as error:
        findings.add(Damage(Kind.CHECKPOINT, None, f"{source}: {error}"))


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
