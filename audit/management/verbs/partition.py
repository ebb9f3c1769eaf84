"""``audit partition``: turn an adopted, unpartitioned ``audit_logs`` into a partitioned one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from audit.keeper import keeper_connection
from audit.repartition import BATCH_ROWS, copy_batch, copy_missing, is_partitioned, prepare, swap
from audit.verification import DEADLINE_S
from techno.acts import governed_command
from techno.gate import conclude
from techno.governance.verdict import APPROVED

HELP = "partition an adopted audit_logs by month; may be interrupted and run again"


def configure(parser: ArgumentParser) -> None:
    """There is nothing to choose."""


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Copy in batches while everybody goes on writing, then swap under a short lock."""
    with keeper_connection() as connection:
        connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
        if is_partitioned(connection):
            out.write("audit_logs is partitioned already.")
            return 0
        prepare(connection)
        copied = 0
        while batch := copy_batch(connection):
            copied += batch
            if batch < BATCH_ROWS:
                break
            err.write(f"{copied} rows copied")
        missing, mark = copy_missing(connection)
        governed = governed_command("audit.partition")
        conclude(governed, APPROVED)
        late = missing + swap(connection, mark)
    out.write(
        f"{copied + late} rows copied in this run; audit_logs is partitioned. The former table "
        "is audit_logs_unpartitioned: drop it when you have seen that all is well."
    )
    return 0
