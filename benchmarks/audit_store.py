"""The audit log in its database: writing, sealing, proving, verifying, replaying, reading.

    python -m benchmarks audit_store [--rows 200000]

Two embedded servers of its own: a small log of ten thousand rows, and a large one, of which the
same is asked in turns; of the large one first with the statistics of its first ten thousand rows.
Wall time depends on what else the machine does; processor time is told beside it, Python's and
PostgreSQL's. Plans and timings go into benchmarks/results/.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks.audit_server import HEADING, Meter, configure, database
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
SHOWN = 40


def main() -> None:
    """Measure everything and print it as it comes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks audit_store")
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args()
    directory = RESULTS / f"audit-store-{os.getpid()}"
    configure(directory / "large")
    with database(directory / "small") as small, database(directory / "large") as large:
        import django

        django.setup()
        from benchmarks import audit_phases as phases  # needs settings

        meter = Meter()
        print(f"load before {os.getloadavg()[0]:.1f}\n{HEADING}", flush=True)
        for server in (small, large):
            phases.write(meter, server, SMALL_ROWS, DAYS)
            phases.settle(server)
        phases.write(meter, large, options.rows - SMALL_ROWS, DAYS)
        stale = phases.read(f"{options.rows}-stale", small, large)
        phases.seal(meter)
        phases.settle(large)
        fresh = phases.read(f"{options.rows}-fresh", small, large)
        phases.prove(meter, PROOFS)
        phases.verify(meter)
        phases.replay(meter, REPLAYED)
    show(f"{options.rows:,} rows, statistics of {SMALL_ROWS:,}", stale)
    show(f"{options.rows:,} rows, fresh statistics", fresh)
    print(f"\nPlans are in {RESULTS}; load afterwards {os.getloadavg()[0]:.1f}")
    directory.rmdir()


def show(title: str, found: list[tuple[str, Timing, Timing]]) -> None:
    """Tell how many questions keep the limits, and name those that do not."""
    ratios = [
        max(many.server_ms, LEAST_MS) / max(few.server_ms, LEAST_MS) for _, few, many in found
    ]
    times = sorted(many.server_ms for _, _, many in found)
    missed = [
        each
        for each, ratio in zip(found, ratios, strict=True)
        if each[2].server_ms > LIMIT_MS or ratio > LIMIT_RATIO
    ]
    print(
        f"\n{title}: {len(found)} questions, median {statistics.median(times):.2f} ms,"
        f" 95 % under {times[int(len(times) * 0.95)]:.2f} ms, worst {times[-1]:.1f} ms;"
        f" median ratio to {SMALL_ROWS:,} rows {statistics.median(ratios):.2f}"
    )
    slow = sum(many.server_ms > LIMIT_MS for _, _, many in found)
    print(f"  over {LIMIT_MS:g} ms: {slow}; over {LIMIT_RATIO} times: {len(missed)} with those")
    for name, few, many in sorted(missed, key=lambda each: -each[2].server_ms)[:SHOWN]:
        print(
            f"  {name:60} {few.server_ms:8.2f} -> {many.server_ms:9.2f} ms"
            f" (prepared {many.prepared_ms:9.2f} ms), {many.rows} rows"
        )


if __name__ == "__main__":
    sys.exit(main())
