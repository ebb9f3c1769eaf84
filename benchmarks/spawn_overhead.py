"""What `executor.engine.run` adds to a bare spawn, side by side in one run.

    python -m benchmarks.spawn_overhead [--runs 2000] [--rounds 3]

Runs /bin/true in four ways, each from 1 and from 8 threads of one process, in turns so that the
load of the machine hits all alike, and prints the best round of each: runs per second, their ratio
to the bare spawn with as many threads, and this process's own CPU time per run. The CPU of the
child itself is not in it.

- bare spawn:   os.posix_spawn and waitpid; no pipes, no session, no limit, nothing verified
- spawn only:   the engine's way of starting, with pipes and pidfd, then waitpid
- subprocess:   Popen with a session of its own and two pipes, communicate(timeout=15)
- engine:       engine.run
"""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
import time
from collections.abc import Callable

from executor import engine, spawn

PROGRAM = "/bin/true"
THREADS = (1, 8)
ENVIRONMENT = spawn.minimal_environment({}, "benchmark")


def bare_spawn() -> None:
    os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM], ENVIRONMENT), 0)


def spawn_only() -> None:
    child = spawn.start((PROGRAM,), ENVIRONMENT, None)
    os.waitpid(child.pid, 0)
    for descriptor in (child.pidfd, child.stdout, child.stderr):
        os.close(descriptor)


def with_subprocess() -> None:
    with subprocess.Popen(
        [PROGRAM],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    ) as process:
        process.communicate(timeout=15)


def with_engine() -> None:
    result = engine.run(engine.Command((PROGRAM,), marker="benchmark"))
    if result.exit_code != 0:
        raise RuntimeError(result.detail)


CONTENDERS: dict[str, Callable[[], None]] = {
    "bare spawn": bare_spawn,
    "spawn only": spawn_only,
    "subprocess": with_subprocess,
    "engine": with_engine,
}


def measure(action: Callable[[], None], threads: int, runs: int) -> tuple[float, float]:
    """Runs per second, and CPU seconds of this process per run."""

    def work() -> None:
        for _ in range(runs // threads):
            action()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    done = runs // threads * threads
    return done / wall_s, cpu_s / done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="runs per round and way")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    best: dict[tuple[str, int], tuple[float, float]] = {}
    for _ in range(options.rounds):
        for threads in THREADS:
            for name, action in CONTENDERS.items():
                rate, cpu_s = measure(action, threads, options.runs)
                best[name, threads] = max(best.get((name, threads), (0.0, 0.0)), (rate, cpu_s))
    print(f"{'way':12} {'threads':>7} {'runs/s':>8} {'of bare':>8} {'CPU us/run':>11}")
    for threads in THREADS:
        bare_rate = best["bare spawn", threads][0]
        for name in CONTENDERS:
            rate, cpu_s = best[name, threads]
            print(f"{name:12} {threads:7} {rate:8.0f} {rate / bare_rate:8.2f} {cpu_s * 1e6:11.0f}")


if __name__ == "__main__":
    main()
