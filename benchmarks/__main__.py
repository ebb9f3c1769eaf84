"""`python -m benchmarks [NAME …]`: what `make bench` runs.

memory, execute, audit and footprint (all four without a NAME) start the service and its floors on
a database of their own, under benchmarks/results/, and take about three minutes. Every other
module here with a `main` is a benchmark of one part and can be named as well; its own options
follow: `python -m benchmarks spawn_overhead --runs 500`.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys

from benchmarks import footprint, http_cases, report
from benchmarks.cases import run
from benchmarks.service import PROJECT, BenchmarkError, running

SERVED = ("memory", "execute", "audit", "footprint")


def parts() -> list[str]:
    """Return the benchmarks of single parts, by module name."""
    found = []
    for path in sorted((PROJECT / "benchmarks").glob("*.py")):
        if path.stem != "__main__" and "\ndef main(" in path.read_text(encoding="utf-8"):
            found.append(path.stem)
    return found


def main() -> int:
    os.chdir(PROJECT)
    if len(sys.argv) > 1 and sys.argv[1] in parts():
        name = sys.argv.pop(1)
        importlib.import_module(f"benchmarks.{name}").main()
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure throughput and latency beside their floors.",
        epilog=f"Of single parts: {', '.join(parts())}.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SERVED)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in SERVED]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]}")
    try:
        measure(tuple(options.names) or SERVED, options.rounds, options.seconds)
    except BenchmarkError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def measure(names: tuple[str, ...], rounds: int, seconds: float) -> None:
    """Start everything, measure what is named, print as it comes, write it all."""
    facts = report.machine()
    print(report.heading(facts), flush=True)
    outcomes, found = [], []
    with running() as scene:
        if "footprint" in names:
            found = footprint.measure(scene.service.pid)
            print(report.footprint_table(found), flush=True)
        wanted = tuple(name for name in names if name != "footprint")
        for case in http_cases.cases(scene, wanted, rounds, seconds):
            outcomes.append(run(case))
            print(report.table(outcomes[-1]), flush=True)
    print(f"\nWritten to {report.write(facts, outcomes, found).relative_to(PROJECT)}")


if __name__ == "__main__":
    sys.exit(main())
