"""The phases of the `audit_store` benchmark, one function each; needs Django's settings."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys

from audit import spill
from audit.checkpoints import make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.proofs import prove_row
from audit.recorder import INSERT_TRACE, Entry
from audit.simulation import mark_for_tests, simulate
from benchmarks.audit_reading import Timing, compare
from benchmarks.audit_server import Meter, owner
from benchmarks.service import PROJECT, RESULTS
from techno.database.connection import DeadlineConnection, connect
from techno.database.current import store
from techno.database.group_commit import Write
from techno.database.store import ORDERED_SETTINGS
from techno.embedded import EmbeddedPostgres
from techno.gate import begin
from techno.governance.verdict import APPROVED

DEADLINE_S = 3_600.0
TABLES = ("audit_logs", "audit_traces", "audit_trace_codes")


def write(meter: Meter, server: EmbeddedPostgres, rows: int, days: float) -> None:
    """Make up history. Nobody renews statistics meanwhile, unless the database is a new one."""
    with connect(server.connection(), deadline_s=DEADLINE_S, name="benchmark") as connection:
        mark_for_tests(connection)
        with meter.phase("simulate", rows, target_per_s=30_000):
            simulate(connection, server.connection(), rows=rows, days=days)


def settle(server: EmbeddedPostgres) -> None:
    """Have statistics of what is there now, and keep the background from renewing them."""
    with owner(server) as connection:
        names = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = ANY (%s::regclass[])",
            [list(TABLES)],
        ).fetchall()
        for (name,) in names:
            connection.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = off)")
        for table in (*TABLES, "audit_leaves", "audit_nodes"):
            connection.execute(f"VACUUM ANALYZE {table}")


def read(
    name: str, small: EmbeddedPostgres, large: EmbeddedPostgres
) -> list[tuple[str, Timing, Timing]]:
    """Ask every question on connections like those that serve lists."""

    def lists(server: EmbeddedPostgres) -> DeadlineConnection:
        return connect(
            server.connection(), deadline_s=DEADLINE_S, name="benchmark", settings=ORDERED_SETTINGS
        )

    with lists(small) as few, lists(large) as many:
        return compare(few, many, RESULTS / f"audit-plans-{name}.json")


def seal(meter: Meter) -> None:
    """Seal everything that waits, and sign it."""
    with keeper_connection() as connection:
        (waiting,) = connection.execute("SELECT count(*) FROM audit_unsealed").fetchone() or (0,)
        with meter.phase("seal", waiting, target_per_s=20_000):
            seal_all(connection)
        with meter.phase("checkpoint", 1):
            make_checkpoint(connection, signing_directory(), origin())


def prove(meter: Meter, proofs: int) -> None:
    """Prove rows anywhere in the log."""
    (size,) = store().reads.row("SELECT size FROM audit_tree") or (0,)
    chance = random.Random(1)
    ids = [
        store().reads.row(
            "SELECT trace_id::text FROM audit_leaves WHERE leaf_index = %s",
            [chance.randrange(size)],
        )
        for _ in range(proofs)
    ]
    with meter.phase(f"proof at {size:,} leaves", proofs, target_per_s=100):
        for found in ids:
            prove_row(str(found[0]) if found else "")


def verify(meter: Meter) -> None:
    """Verify the whole log with the command that operators use."""
    (size,) = store().reads.row("SELECT size FROM audit_tree") or (0,)
    with meter.phase("full verification", size, target_per_s=50_000):
        done = subprocess.run(
            [sys.executable, "manage.py", "audit", "verify"],
            cwd=PROJECT,
            env=dict(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  {done.stdout.strip().splitlines()[-2:]}, largest process {peak_mib:.0f} MiB")


def replay(meter: Meter, records: int) -> None:
    """Journal rows as an outage would, and bring them back."""
    rows = [
        [Write(INSERT_TRACE, Entry(begin(method="GET", path="/").trace, APPROVED, "x", 1).row())]
        for _ in range(records)
    ]
    with meter.phase("journal append, one thread", records, target_per_s=3_000):
        for writes in rows:
            spill.spill(writes)
    with meter.phase("replay", records, target_per_s=20_000):
        found = spill.replay()
    if found.records != records:
        raise RuntimeError(f"{records} records were journalled, {found.records} replayed")
