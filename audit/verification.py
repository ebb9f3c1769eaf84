"""Verifying the whole log from its data: every row is hashed again, nothing stored is believed.

Equal roots prove nothing about the rows below them, so the rows come first: each is read, brought
into its canonical form, hashed, and held against its leaf. Then the tree is built again from the
leaves and held against every stored node and every signed checkpoint, the one that this host
remembers outside of the database included. Rows without a leaf and the journal come last.

All reads see one snapshot; the rows are read by several processes.
"""

from __future__ import annotations

import enum
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from audit.canonical import CanonicalError, leaf_bytes
from audit.merkle import leaf_hash
from audit.rows import canonical_row, loads
from audit.sql import statement
from techno.database.connection import DeadlineConnection, connect
from techno.launch import follow_parent

RANGE_LEAVES = 20_000
BATCH_LEAVES = 4_000
DEADLINE_S = 3_600.0
FINDINGS_MOST = 100
#: Who waits for the others does so within the transaction that holds the snapshot.
PATIENT = {"idle_in_transaction_session_timeout": "0"}


class Kind(enum.StrEnum):
    """What sort of damage was found."""

    CHANGED = "changed"
    DELETED = "deleted"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    CUT_OFF = "cut off"
    NUMBERING = "numbering"
    COPY = "copies differ"
    TREE = "tree"
    CHECKPOINT = "checkpoint"
    JOURNAL = "journal"


@dataclass(frozen=True, slots=True)
class Damage:
    """One finding: where, of which kind, and in words. ``leaf`` is ``None`` where none is."""

    kind: Kind
    leaf: int | None
    message: str


@dataclass(slots=True)
class RangeReport:
    """What one process found in one range of leaves.

    ``recomputed`` holds the hashes of rows that do not fit their leaves, by leaf, to tell rows
    that changed places from rows that changed.
    """

    first: int
    leaves: int = 0
    archived: int = 0
    damage: list[Damage] = field(default_factory=list)
    recomputed: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)


def verify_rows(
    parameters: dict[str, Any],
    snapshot: str,
    size: int,
    *,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[list[Damage], int]:
    """Hash every row of the first ``size`` leaves again; return what does not fit, in order.

    Returns also how many rows are not in the database because they were archived.

    ``snapshot`` is one that the caller exported and holds. Memory stays flat: a process works on
    ``RANGE_LEAVES`` leaves at a time. ``meanwhile`` is called while they work. Raises
    ``psycopg.Error``.
    """
    workers = jobs or os.cpu_count() or 1
    ranges = [(first, min(size, first + RANGE_LEAVES)) for first in range(0, size, RANGE_LEAVES)]
    damage: list[Damage] = []
    misfits: dict[int, tuple[bytes, bytes]] = {}
    done = archived = 0
    with ProcessPoolExecutor(
        max_workers=min(workers, max(1, len(ranges))),
        mp_context=get_context("spawn"),
        initializer=_open,
        initargs=(os.getpid(), parameters, snapshot),
    ) as pool:
        reports = pool.map(_verify_range, ranges)
        meanwhile()
        for report in reports:
            damage += report.damage
            misfits.update(report.recomputed)
            done += report.leaves
            archived += report.archived
            if progress is not None:
                progress(done)
    damage += _changed_or_swapped(misfits)
    return sorted(damage, key=lambda found: -1 if found.leaf is None else found.leaf), archived


_connection: DeadlineConnection | None = None
_archives: list[tuple[UUID, UUID, int]] = []

#: An archive counts only when the audit row that tells of it is there and names the same bundle.
_ARCHIVES_SQL = """
SELECT a.from_id, a.to_id, a.end_leaf
FROM audit_archives a JOIN audit_traces t ON t.trace_id = a.recorded_in
WHERE t.action = 'audit.archive' AND t.detail ->> 'sha256' = a.sha256
"""


def _open(parent: int, parameters: dict[str, Any], snapshot: str) -> None:
    """Connect a worker process to the snapshot that all of them see; it ends with its parent."""
    global _connection
    follow_parent(signal.SIGKILL, parent)
    _connection = connect(parameters, deadline_s=DEADLINE_S, name="techno-verify", settings=PATIENT)
    set_json_loads(loads, _connection)
    _connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    _connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
    _archives[:] = _connection.execute(_ARCHIVES_SQL).fetchall()


def _verify_range(bounds: tuple[int, int]) -> RangeReport:
    """Hash the rows of one range of leaves."""
    if _connection is None:
        raise RuntimeError("the worker process was not opened")
    report = RangeReport(bounds[0])
    expected = bounds[0]
    for columns in leaves_with_rows(_connection, *bounds):
        index = columns[22]
        if index != expected:
            report.damage.append(
                Damage(Kind.NUMBERING, expected, f"leaf {expected} is missing from the tree")
            )
        expected = index + 1
        report.leaves += 1
        if len(report.damage) + len(report.recomputed) < FINDINGS_MOST:
            _verify_leaf(columns, report)
    if expected != bounds[1]:
        report.damage.append(
            Damage(Kind.NUMBERING, expected, f"leaves {expected} to {bounds[1] - 1} are missing")
        )
    return report


def leaves_with_rows(
    connection: psycopg.Connection[Any], first: int, end: int
) -> Iterator[tuple[Any, ...]]:
    """Yield leaves with their rows, in the columns of ``leaves_with_rows.sql``."""
    with connection.cursor(binary=True) as cursor:
        for start in range(first, end, BATCH_LEAVES):
            cursor.execute(
                statement("leaves_with_rows"), [start, min(end, start + BATCH_LEAVES)], binary=True
            )
            yield from cursor


def _verify_leaf(columns: tuple[Any, ...], report: RangeReport) -> None:
    """Hold one row against its leaf."""
    trace_id, index, version, stored = columns[21], columns[22], columns[23], columns[24]
    if columns[0] is None and any(
        first <= trace_id < beyond and index < end for first, beyond, end in _archives
    ):
        report.archived += 1
        return
    if columns[0] is None:
        report.damage.append(
            Damage(Kind.DELETED, index, f"the row {trace_id} of leaf {index} is gone")
        )
        return
    try:
        actual = leaf_hash(leaf_bytes(version, canonical_row(columns)))
    except CanonicalError as error:
        report.damage.append(
            Damage(Kind.CHANGED, index, f"the row {trace_id} of leaf {index} is not one: {error}")
        )
        return
    if actual != stored:
        report.recomputed[index] = (bytes(stored), actual)
    elif columns[25]:
        report.damage.append(
            Damage(
                Kind.COPY, index, f"the companion of {trace_id} disagrees with the row it stands by"
            )
        )


def _changed_or_swapped(misfits: dict[int, tuple[bytes, bytes]]) -> list[Damage]:
    """Name each misfit: a row whose hash is another leaf's has changed places with it."""
    home = {stored: index for index, (stored, _) in misfits.items()}
    damage = []
    for index, (_, actual) in sorted(misfits.items()):
        other = home.get(actual)
        if other is None:
            damage.append(
                Damage(Kind.CHANGED, index, f"the row of leaf {index} is not the one sealed there")
            )
        else:
            damage.append(
                Damage(
                    Kind.SWAPPED, index, f"leaf {index} stands for the row sealed as leaf {other}"
                )
            )
    return damage
