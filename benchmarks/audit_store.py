"""The audit log in its database: writing, sealing, proving, verifying, replaying, reading.

    python -m benchmarks audit_store [--rows 200000] [--keep DIRECTORY]

An embedded server of its own gets ten thousand rows, is read, gets the rest, and is read again:
with the statistics of ten thousand rows, and with fresh ones. Wall time depends on what else the
machine does; processor time is told beside it, Python's and PostgreSQL's. Plans and timings go
into benchmarks/results/.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.audit_server import HEADING, Meter, database, owner
from benchmarks.service import RESULTS

if TYPE_CHECKING:
    from benchmarks.audit_reading import Timing

SMALL_ROWS = 10_000
DAYS = 60
PROOFS = 200
REPLAYED = 20_000
LIMIT_MS = 10.0
LIMIT_RATIO = 1.5
#: Below this a ratio says more of the clock than of the plan.
LEAST_MS = 0.5


def main() -> None:
    """Measure everything and print it as it comes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks audit_store")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="a directory for the database, which stays")
    options = parser.parse_args()
    directory = (options.keep or RESULTS / f"audit-store-{os.getpid()}").resolve()
    outcomes = []
    with database(directory, keep=options.keep is not None) as server:
        from benchmarks import audit_phases  # needs settings

        meter = Meter()
        print(f"load before {os.getloadavg()[0]:.1f}\n{HEADING}", flush=True)
        with owner(server) as connection:
            audit_phases.prepare(connection)
            audit_phases.write(meter, SMALL_ROWS, DAYS)
            audit_phases.settle(connection)
            small = audit_phases.read("10000")
            audit_phases.write(meter, options.rows - SMALL_ROWS, DAYS)
            stale = audit_phases.read(f"{options.rows}-stale")
            audit_phases.seal(meter)
            audit_phases.settle(connection)
            fresh = audit_phases.read(f"{options.rows}-fresh")
        audit_phases.prove(meter, PROOFS)
        audit_phases.verify(meter)
        audit_phases.replay(meter, REPLAYED)
        outcomes = [("stale statistics", stale), ("fresh statistics", fresh)]
    for name, found in outcomes:
        show(f"{options.rows:,} rows, {name}", small, found)
    print(f"\nPlans are in {RESULTS}; load afterwards {os.getloadavg()[0]:.1f}")


def show(title: str, small: dict[str, Timing], found: dict[str, Timing]) -> None:
    """Tell how many questions keep the limits, and name those that do not."""
    ratios = {
        name: max(each.server_ms, LEAST_MS) / max(small[name].server_ms, LEAST_MS)
        for name, each in found.items()
    }
    slow = [name for name, each in found.items() if each.server_ms > LIMIT_MS]
    grown = [name for name, ratio in ratios.items() if ratio > LIMIT_RATIO and name not in slow]
    times = sorted(each.server_ms for each in found.values())
    print(
        f"\n{title}: {len(found)} questions, median {statistics.median(times):.2f} ms,"
        f" 95 % under {times[int(len(times) * 0.95)]:.2f} ms, worst {times[-1]:.1f} ms;"
        f" median ratio to {SMALL_ROWS:,} rows {statistics.median(ratios.values()):.2f}"
    )
    print(f"  over {LIMIT_MS:g} ms: {len(slow)}; else over {LIMIT_RATIO} times: {len(grown)}")
    for name in sorted({*slow, *grown}, key=lambda name: -found[name].server_ms)[:40]:
        each = found[name]
        print(
            f"  {name:60} {small[name].server_ms:8.2f} -> {each.server_ms:9.2f} ms"
            f" (prepared {each.prepared_ms:9.2f} ms), {each.rows} rows"
        )


if __name__ == "__main__":
    sys.exit(main())
