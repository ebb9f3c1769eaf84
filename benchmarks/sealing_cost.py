"""What sealing costs the requests whose rows it seals, and how far it stays behind.

    python -m benchmarks.sealing_cost [--rounds 5] [--seconds 10]

`GET /api/memory` at 64 connections, in turns with the process that seals at work and with it
stopped (SIGSTOP); before each turn all that waits has been sealed. Prints each round's requests
per second and their ratio, and the age of the oldest row that was not sealed, the highest of one
sample every half second while it works.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg

from benchmarks.http_cases import APPROVED
from benchmarks.load import Load, apply
from benchmarks.service import RESULTS, Scene, running
from techno.embedded import DATABASE, OWNER_ROLE, EmbeddedPostgres

CONNECTIONS = 64
SAMPLE_EVERY_S = 0.5
SEALED_LIMIT_S = 60.0
LAG_SQL = """
SELECT coalesce(extract(epoch FROM now() - min(l."timestamp")), 0)::float8
FROM audit_unsealed u JOIN audit_logs l USING (trace_id)
"""


def keeper_of(scene: Scene) -> psutil.Process:
    """Return the process that seals."""
    for process in psutil.Process(scene.service.pid).children(recursive=True):
        if process.cmdline()[-2:] == ["manage.py", "keep"]:
            return process
    raise RuntimeError("the service has no keeper")


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Keep a process from running for the block."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


class Lag:
    """The age in seconds of the oldest row without a leaf, sampled in a thread of its own."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.highest_s = 0.0

    def now_s(self) -> float:
        """Return how far sealing is behind."""
        row = self._connection.execute(LAG_SQL).fetchone()
        return float(row[0]) if row else 0.0

    def wait_until_sealed(self) -> None:
        """Return when nothing waits. Raises ``RuntimeError``."""
        ends_at_s = time.monotonic() + SEALED_LIMIT_S
        while self.now_s() > 0:
            if time.monotonic() > ends_at_s:
                raise RuntimeError(f"not sealed within {SEALED_LIMIT_S:g} s")
            time.sleep(SAMPLE_EVERY_S)

    @contextmanager
    def sampled(self) -> Iterator[None]:
        """Sample for the block."""
        over = threading.Event()

        def sample() -> None:
            while not over.wait(SAMPLE_EVERY_S):
                self.highest_s = max(self.highest_s, self.now_s())

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each turn")
    options = parser.parse_args()
    with running() as scene:
        embedded = EmbeddedPostgres(RESULTS / f"run-{os.getpid()}")
        parameters: dict[str, Any] = dict(embedded.connection(OWNER_ROLE, DATABASE))
        load = Load(
            scene.service.port,
            "/api/memory",
            CONNECTIONS,
            options.seconds,
            headers={"X-API-Key": scene.service.key},
            wanted=APPROVED,
        )
        keeper = keeper_of(scene)
        with psycopg.connect(**parameters, autocommit=True) as connection:
            _measure(options.rounds, load, keeper, Lag(connection))


def _measure(rounds: int, load: Load, keeper: psutil.Process, lag: Lag) -> None:
    apply(load)
    ratios = []
    for number in range(rounds):
        rates = {}
        for sealing in (True, False) if number % 2 else (False, True):
            lag.wait_until_sealed()
            if sealing:
                with lag.sampled():
                    rates[sealing] = apply(load).requests_per_s
            else:
                with stopped(keeper):
                    rates[sealing] = apply(load).requests_per_s
        ratios.append(rates[True] / rates[False])
        print(
            f"round {number + 1}: {rates[True]:.0f}/s with sealing, {rates[False]:.0f}/s without, "
            f"ratio {ratios[-1]:.2f}",
            flush=True,
        )
    print(
        f"median ratio {statistics.median(ratios):.2f} (wanted: 0.9 or more), "
        f"highest lag {lag.highest_s:.1f} s (wanted: 15 s or less)"
    )


if __name__ == "__main__":
    main()
