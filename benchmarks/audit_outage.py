"""How soon a fallback answer leaves while PostgreSQL hangs, and how many threads that takes.

    python -m benchmarks audit_outage [--seconds 5] [--connections 16]

The service's embedded server is stopped by SIGSTOP: it answers nothing, not even a refusal. The
figures are of `GET /api/diagnostic/metrics` with a key from the database, whose answers are
journalled meanwhile; the wanted p99 is under 1000 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import time
from collections.abc import Iterator

import psutil

from benchmarks.cpu_time import DATABASE_PROCESS, tree
from benchmarks.load import Load, Measured, apply
from benchmarks.service import Server, running

PATH = "/api/diagnostic/metrics"
#: By then the keeper has copied the key to this host.
SETTLED_S = 8.0


def main() -> None:
    """Measure before, during and after the outage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks audit_outage")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    with running() as scene:
        service = scene.service

        def measure(name: str) -> None:
            found = apply(
                Load(
                    service.port,
                    PATH,
                    options.connections,
                    options.seconds,
                    headers={"X-API-Key": service.key},
                )
            )
            print(line(name, found, threads(service)), flush=True)

        measure("PostgreSQL answers")
        time.sleep(SETTLED_S)
        with frozen(service):
            measure("PostgreSQL hangs, first seconds")
            measure("PostgreSQL hangs, later")
        measure("PostgreSQL answers again")
    print(f"load afterwards {os.getloadavg()[0]:.1f}")


def line(name: str, found: Measured, running_threads: int) -> str:
    """One line of the table."""
    return (
        f"{name:34} {found.requests_per_s:8.0f} requests/s  p50 {found.p50_ms:7.1f} ms"
        f"  p99 {found.p99_ms:7.1f} ms  {found.errors} errors  {running_threads} threads"
    )


def threads(service: Server) -> int:
    """Return how many threads the service's own processes have."""
    total = 0
    for process in tree(service.pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() != DATABASE_PROCESS:
                total += process.num_threads()
    return total


@contextlib.contextmanager
def frozen(service: Server) -> Iterator[None]:
    """Have all processes of the embedded server stopped for the block."""
    pids = [each.pid for each in tree(service.pid) if each.name() == DATABASE_PROCESS]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


if __name__ == "__main__":
    main()
