"""Synchronous runs beside `webhook`, which starts programs by HTTP too, and beside a bare spawn.

    python -m benchmarks.executor_webhook [--rounds 3] [--seconds 2]

`webhook` (Debian's package, a Go program) is asked for a hook that runs /bin/true and answers with
its output; it checks nothing, keeps nothing and has no database. The service runs the same program
for the same question, decides about it, and commits twice. Contenders take turns within each
round; the median round counts, and each ratio is formed within a round.

The overhead of one run is what a single connection waits for it beyond a bare `posix_spawn` of the
same program with the same limits (its own session, both pipes, a deadline), which is measured in
this process in the same rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load
from benchmarks.service import ACTION, PROGRAM, BenchmarkError, running
from executor import spawn

CLIENTS = (1, 8, 16)
SHARE = 0.5
SPAWNS = 200
WEBHOOK = "/usr/bin/webhook"
_START_LIMIT_S = 15.0


@contextlib.contextmanager
def webhook() -> Iterator[int]:
    """Run `webhook` on a free port, which is given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as directory:
        hooks = Path(directory) / "hooks.json"
        hook = {
            "id": "run",
            "execute-command": PROGRAM,
            "include-command-output-in-response": True,
        }
        hooks.write_text(json.dumps([hook]))
        process = subprocess.Popen(
            [WEBHOOK, "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def _await(port: int) -> None:
    give_up_at_s = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up_at_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise BenchmarkError(f"{WEBHOOK} did not start")


def bare_spawn_ms() -> float:
    """The median time of a bare spawn with the engine's limits, to its end."""
    environment = spawn.minimal_environment({}, "benchmark")
    taken = []
    for _ in range(SPAWNS):
        began_s = time.perf_counter()
        child = spawn.start((PROGRAM,), environment, None)
        os.waitpid(child.pid, 0)
        taken.append(time.perf_counter() - began_s)
        for descriptor in (child.pidfd, child.stdout, child.stderr, *child.write_ends):
            os.close(descriptor)
    return statistics.median(taken) * 1000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options = parser.parse_args()
    if not os.access(WEBHOOK, os.X_OK):
        sys.exit(f"{WEBHOOK} is not here: apt-get install webhook")
    with running() as scene, webhook() as port:
        _measure(scene.service.port, scene.service.key, port, options.rounds, options.seconds)


def _measure(service_port: int, key: str, webhook_port: int, rounds: int, seconds: float) -> None:
    print(f"{'clients':>7} {'ours/s':>8} {'p50 ms':>7} {'webhook/s':>10} {'ratio':>6}  wanted")
    overheads = []
    for clients in CLIENTS:
        found = []
        for _ in range(rounds):
            ours = load.apply(
                load.Load(
                    service_port,
                    "/api/execute",
                    clients,
                    seconds,
                    method="POST",
                    headers={"X-API-Key": key, "Content-Type": "application/json"},
                    body=json.dumps({"command": ACTION}),
                    wanted='"status":"APPROVED"',
                )
            )
            theirs = load.apply(load.Load(webhook_port, "/hooks/run", clients, seconds))
            if ours.errors or theirs.errors:
                raise BenchmarkError(f"errors: {ours.errors} of ours, {theirs.errors} of theirs")
            found.append((ours, theirs))
            if clients == 1:
                overheads.append((ours.p50_ms, bare_spawn_ms()))
        ratio = statistics.median(o.requests_per_s / t.requests_per_s for o, t in found)
        met = "met" if ratio >= SHARE else "MISSED"
        wanted = "-" if clients == 1 else f"≥ {SHARE} {met}"
        print(
            f"{clients:>7} {statistics.median(o.requests_per_s for o, _ in found):>8.0f}"
            f" {statistics.median(o.p50_ms for o, _ in found):>7.2f}"
            f" {statistics.median(t.requests_per_s for _, t in found):>10.0f} {ratio:>6.2f}"
            f"  {wanted}",
            flush=True,
        )
    run_ms = statistics.median(run for run, _ in overheads)
    bare_ms = statistics.median(bare for _, bare in overheads)
    print(
        f"one run {run_ms:.2f} ms (p50, one connection), a bare spawn {bare_ms:.2f} ms:"
        f" overhead {run_ms - bare_ms:.2f} ms"
    )


if __name__ == "__main__":
    main()
