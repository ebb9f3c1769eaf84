"""Writing a bundle from the database: rows, leaves, checkpoints and what proves them complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

import psycopg
from psycopg.types.json import set_json_loads

from audit.bundle import BundleScope, write_bundle
from audit.checkpoint import Checkpoint
from audit.checkpoints import known_keys
from audit.note import Note
from audit.rows import canonical_row, loads
from audit.tree import node_source
from audit.verification import leaves_with_rows

HASH_BATCH = 50_000

_RANGE_SQL = """
SELECT min(f.leaf_index), max(f.leaf_index) + 1
FROM audit_traces t JOIN audit_leaves f ON f.trace_id = t.trace_id
WHERE (%(since)s::timestamptz IS NULL OR t."timestamp" >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR t."timestamp" < %(until)s)
"""


class NothingToExport(Exception):
    """There is no checkpoint yet, or no sealed row in the range; the text says which."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What a bundle holds: leaves ``[first, end)`` of ``size``."""

    first: int
    end: int
    size: int


def export_bundle(
    connection: psycopg.Connection[Any],
    target: IO[bytes],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    leaves: tuple[int, int] | None = None,
) -> Exported:
    """Write a self-contained bundle of a time range, or of the leaves ``[first, end)``.

    ``since`` is inclusive, ``until`` exclusive; without both the whole log is written. Memory
    stays flat. Raises :class:`NothingToExport`, ``audit.bundle.BundleError``, ``psycopg.Error``.
    """
    set_json_loads(loads, connection)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        notes = _notes(connection)
        if not notes:
            raise NothingToExport("nothing has been signed yet; run `manage.py audit checkpoint`")
        newest = Checkpoint.parse(notes[-1].text)
        first, end = leaves or _bounds(connection, newest.size, since, until)
        scope = BundleScope(
            origin=newest.origin,
            first=first,
            end=end,
            created=datetime.now(UTC),
            since=since,
            until=until,
        )
        inside = [note for note in notes[:-1] if first <= Checkpoint.parse(note.text).size <= end]
        query = _query(connection)
        write_bundle(
            target,
            scope,
            rows=_rows(connection, first, end),
            leaf_hashes=_hashes(connection, first, end),
            checkpoints=[*inside, notes[-1]],
            keys=known_keys(query),
            nodes=node_source(query),
        )
    return Exported(first, end, newest.size)


def range_to_export(
    connection: psycopg.Connection[Any], since: datetime | None, until: datetime | None
) -> Exported:
    """Return which leaves a bundle of that time would hold now. Raises as ``export_bundle``."""
    row = connection.execute("SELECT max(size) FROM audit_checkpoints").fetchone()
    if row is None or row[0] is None:
        raise NothingToExport("nothing has been signed yet")
    first, end = _bounds(connection, row[0], since, until)
    return Exported(first, end, row[0])


def _notes(connection: psycopg.Connection[Any]) -> list[Note]:
    """Return all checkpoints in order of size; of several at one size, the newest."""
    rows = connection.execute(
        "SELECT DISTINCT ON (size) note FROM audit_checkpoints ORDER BY size, id DESC"
    ).fetchall()
    return [Note.parse(note.encode()) for (note,) in rows]


def _bounds(
    connection: psycopg.Connection[Any],
    size: int,
    since: datetime | None,
    until: datetime | None,
) -> tuple[int, int]:
    """Return the leaves that hold the time range, with one neighbour on either side.

    What was archived is in bundles already and begins no new one.
    """
    (floor,) = connection.execute(
        "SELECT coalesce(max(end_leaf), 0) FROM audit_archives"
    ).fetchone() or (0,)
    if since is None and until is None:
        return int(floor), size
    row = connection.execute(_RANGE_SQL, {"since": since, "until": until}).fetchone()
    if row is None or row[0] is None:
        raise NothingToExport("no sealed row is of this time")
    return max(int(floor), int(row[0]) - 1), min(size, int(row[1]) + 1)


def _rows(
    connection: psycopg.Connection[Any], first: int, end: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    for columns in leaves_with_rows(connection, first, end):
        if columns[0] is not None:  # a row that is gone leaves a gap for the verifier to find
            yield columns[23], canonical_row(columns)


def _hashes(connection: psycopg.Connection[Any], first: int, end: int) -> Iterator[bytes]:
    for start in range(first, end, HASH_BATCH):
        for (value,) in connection.execute(
            "SELECT hash FROM audit_leaves WHERE leaf_index >= %s AND leaf_index < %s "
            "ORDER BY leaf_index",
            [start, min(end, start + HASH_BATCH)],
            binary=True,
        ):
            yield bytes(value)


def _query(connection: psycopg.Connection[Any]) -> Any:
    return lambda sql, parameters: connection.execute(sql, parameters).fetchall()
