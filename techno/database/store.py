"""This process's doors to PostgreSQL: for durable writes, for reads, and for shared reads."""

from __future__ import annotations

from typing import Any

from techno.database.circuit import Circuit
from techno.database.connection import DeadlineConnection, connect
from techno.database.group_commit import GroupCommit
from techno.database.reads import Reads
from techno.database.shared_reads import SharedReads

#: Who waits has one batch ahead of its own, and each of the two has the deadline.
BATCHES_WAITED_FOR = 2

#: Point reads and batches find their rows by an index. A plan made while a table is new, or seems
#: small, would read it whole, and is kept while the table grows.
POINT_SETTINGS = {"enable_seqscan": "off"}
BATCH_SETTINGS = POINT_SETTINGS | {"enable_hashjoin": "off", "enable_mergejoin": "off"}

#: A batch is one parameter, whose value no plan could make use of. PostgreSQL compares what a kept
#: plan costs on the table of today with what plans cost while it was smaller, and would plan anew
#: for each batch, for as long as the table grows.
WRITE_SETTINGS = BATCH_SETTINGS | {"plan_cache_mode": "force_generic_plan"}

#: For lists of which every page is the next few rows of an index in its order. Where statistics are
#: old, or were never made, the planner takes a month for a handful of rows that it might sort.
ORDERED_SETTINGS = {
    **BATCH_SETTINGS,
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_incremental_sort": "off",
}
LIST_DEADLINE_S = 5.0
LIST_CONNECTIONS_MOST = 4


class Store:
    """The group commit, the reads and the circuit that they share.

    ``parameters`` are psycopg's connection parameters; nothing is opened before first use.
    """

    def __init__(self, parameters: dict[str, Any], *, deadline_s: float) -> None:
        self._parameters = parameters
        self._deadline_s = deadline_s
        self.circuit = Circuit(lambda: self._connect("techno-probe"))
        self.writes = GroupCommit(
            lambda: self._connect("techno-writes", WRITE_SETTINGS),
            self.circuit,
            wait_s=deadline_s * BATCHES_WAITED_FOR,
        )
        self.reads = Reads(
            parameters,
            self.circuit,
            name="techno-reads",
            deadline_s=deadline_s,
            settings=POINT_SETTINGS,
        )
        #: For lists, whose questions people make up: a slow one has longer, and fails alone.
        self.list_reads = Reads(
            parameters,
            self.circuit,
            name="techno-lists",
            deadline_s=max(deadline_s, LIST_DEADLINE_S),
            most=LIST_CONNECTIONS_MOST,
        )
        #: For lists that have an index for every question: nothing else is considered.
        self.ordered_reads = Reads(
            parameters,
            self.circuit,
            name="techno-ordered",
            deadline_s=max(deadline_s, LIST_DEADLINE_S),
            most=LIST_CONNECTIONS_MOST,
            settings=ORDERED_SETTINGS,
        )
        self.shared_reads = SharedReads(self.reads.row, wait_s=deadline_s * BATCHES_WAITED_FOR)

    def _connect(self, name: str, settings: dict[str, str] | None = None) -> DeadlineConnection:
        return connect(self._parameters, deadline_s=self._deadline_s, name=name, settings=settings)
