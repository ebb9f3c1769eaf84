"""The stored tree: its size, its nodes, and the proofs that are read from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audit.merkle import Coordinate, NodeSource
from audit.sql import statement

#: Runs a query and returns its rows: ``store().reads.rows``, or a cursor's equivalent.
Query = Callable[[str, Any], list[tuple[Any, ...]]]


def node_source(query: Query) -> NodeSource:
    """Return a source that reads all nodes of a proof with one query of O(log n) rows."""

    def read(wanted: Sequence[Coordinate]) -> Mapping[Coordinate, bytes]:
        rows = query(
            statement("nodes"),
            {"levels": [level for level, _ in wanted], "indexes": [index for _, index in wanted]},
        )
        return {(level, index): bytes(value) for level, index, value in rows}

    return read


def tree_size(query: Query) -> int:
    """Return how many leaves there are."""
    return int(query("SELECT size FROM audit_tree", None)[0][0])


def leaf_index(query: Query, trace_id: str) -> int | None:
    """Return the leaf of a row, ``None`` while it has none."""
    rows = query("SELECT leaf_index FROM audit_leaves WHERE trace_id = %s::uuid", [trace_id])
    return int(rows[0][0]) if rows else None


def waiting(query: Query) -> tuple[int, float]:
    """Return roughly how many rows wait to be sealed, and since how many seconds.

    The number is the distance between the queue's ends: exact but for gaps, and read from the
    index's two ends whatever waits.
    """
    rows = query(
        """SELECT coalesce(max(id) - min(id) + 1, 0),
                  coalesce(extract(epoch FROM now() - (
                      SELECT t."timestamp" FROM audit_traces t
                      WHERE t.trace_id = (SELECT u.trace_id FROM audit_unsealed u
                                          ORDER BY u.id LIMIT 1))), 0)::float8
           FROM audit_unsealed""",
        None,
    )
    return int(rows[0][0]), float(rows[0][1])
