"""The sequencer: gives rows their leaves, densely from 0, in one transaction a batch."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import set_json_loads

from audit.canonical import LEAF_VERSION, leaf_bytes
from audit.merkle import Frontier, frontier_at, leaf_hash
from audit.rows import canonical_row, loads
from audit.sql import statement
from audit.tree import node_source

BATCH_ROWS = 10_000


class RowMissing(Exception):
    """A row that waits for its leaf is gone: somebody removed it past triggers and privileges."""


def seal_batch(connection: psycopg.Connection[Any], *, limit: int = BATCH_ROWS) -> int:
    """Seal up to ``limit`` waiting rows; return how many were.

    ``connection`` is in autocommit mode and is used by nobody else. Several sealers take turns
    on the tree's one row. Raises :class:`RowMissing`, naming the row, and ``psycopg.Error``;
    either way nothing is sealed.
    """
    set_json_loads(loads, connection)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT size FROM audit_tree WHERE id = 1 FOR UPDATE")
        (size,) = cursor.fetchone() or (0,)
        rows = cursor.execute(statement("take_unsealed"), [limit], binary=True).fetchall()
        if not rows:
            return 0
        hashes = []
        for columns in rows:
            if columns[0] is None:
                raise RowMissing(f"the row {columns[21]} waits for its leaf but is gone")
            hashes.append(leaf_hash(leaf_bytes(LEAF_VERSION, canonical_row(columns))))
        frontier = frontier_at(size, node_source(_query(cursor)))
        _store(cursor, frontier, size, [columns[21] for columns in rows], hashes)
        cursor.execute("UPDATE audit_tree SET size = %s WHERE id = 1", [size + len(rows)])
    return len(rows)


def _query(cursor: psycopg.Cursor[Any]) -> Any:
    def query(sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        return cursor.execute(sql, parameters).fetchall()

    return query


def _store(
    cursor: psycopg.Cursor[Any],
    frontier: Frontier,
    size: int,
    trace_ids: list[Any],
    hashes: list[bytes],
) -> None:
    """Write the new leaves, and every node that they completed."""
    runs = frontier.extend(hashes)
    with cursor.copy(
        "COPY audit_leaves (leaf_index, trace_id, version, hash) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.set_types(["int8", "uuid", "int2", "bytea"])
        for offset, (trace_id, value) in enumerate(zip(trace_ids, hashes, strict=True)):
            copy.write_row((size + offset, trace_id, LEAF_VERSION, value))
    with cursor.copy(
        "COPY audit_nodes (level, node_index, hash) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.set_types(["int2", "int8", "bytea"])
        for run in runs:
            if run.level:
                for offset, value in enumerate(run.hashes):
                    copy.write_row((run.level, run.first + offset, value))
