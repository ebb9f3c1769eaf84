"""What `executor.engine.run` adds to a bare spawn, side by side in one run.

    python -m benchmarks.spawn_overhead [--runs 2000] [--rounds 3]

Runs /bin/true in several ways, each from 1 thread, 8 threads of one process, and 2 processes
with 4 threads each, in turns so that the load of the machine hits all alike. Prints the best round
of each: runs per second, their ratio to the bare spawn in the same layout, and the CPU time per run
of the spawning processes alone.

- bare spawn:   os.posix_spawn and waitpid; no pipes, no session, no limit, nothing verified
- spawn only:   the engine's way of starting, with pipes and pidfd, then waitpid
- subprocess:   Popen with a session of its own and two pipes, communicate(timeout=15)
- engine:       engine.run
- bare limited: the bare spawn of prlimit and setpriv with the limits of LIMITS, and of true behind
- limited:      engine.run of the same

os.posix_spawn keeps the interpreter lock while the kernel works, the engine does not: that is why
it can pass the bare spawn with 8 threads. The last layout shows what the machine can do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from executor import engine, spawn
from executor.confinement import account_of, confine
from executor.isolation import checked_isolation

PROGRAM = "/bin/true"
LAYOUTS = ((1, 1), (1, 8), (2, 4))  # processes, threads of each
ENVIRONMENT = spawn.minimal_environment({}, "benchmark")
LIMITS = checked_isolation(
    {
        "cpu_s": 10,
        "memory_bytes": 2**30,
        "file_size_bytes": 2**20,
        "open_files": 64,
        "no_new_privs": True,
    }
)
LIMITED = confine((PROGRAM,), LIMITS, account_of(LIMITS), "/", writable=False).argv


def bare_spawn() -> None:
    os.waitpid(os.posix_spawn(PROGRAM, [PROGRAM], ENVIRONMENT), 0)


def spawn_only() -> None:
    child = spawn.start((PROGRAM,), ENVIRONMENT, None)
    os.waitpid(child.pid, 0)
    for descriptor in (child.pidfd, child.stdout, child.stderr, *child.write_ends):
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
    _run((PROGRAM,))


def bare_limited() -> None:
    os.waitpid(os.posix_spawn(LIMITED[0], LIMITED, ENVIRONMENT), 0)


def limited() -> None:
    _run(LIMITED)


def _run(argv: tuple[str, ...]) -> None:
    result = engine.run(engine.Command(argv, marker="benchmark"))
    if result.exit_code != 0:
        raise RuntimeError(result.detail)


CONTENDERS: dict[str, Callable[[], None]] = {
    "bare spawn": bare_spawn,
    "spawn only": spawn_only,
    "subprocess": with_subprocess,
    "engine": with_engine,
    "bare limited": bare_limited,
    "limited": limited,
}
#: What each way is held against.
BARE = {"limited": "bare limited"}


def work(name: str, threads: int, runs: int) -> float:
    """Do that many runs in this process; the CPU seconds it took itself."""

    def repeat() -> None:
        for _ in range(runs // threads):
            CONTENDERS[name]()

    workers = [threading.Thread(target=repeat) for _ in range(threads)]
    began_s = time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.process_time() - began_s


def measure(name: str, processes: int, threads: int, runs: int) -> tuple[float, float]:
    """Runs per second, and CPU seconds per run."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(work, [name] * processes, [threads] * processes, [threads] * processes))
        share = runs // processes
        began_s = time.perf_counter()
        cpu_s = sum(pool.map(work, [name] * processes, [threads] * processes, [share] * processes))
        wall_s = time.perf_counter() - began_s
    done = share // threads * threads * processes
    return done / wall_s, cpu_s / done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000, help="runs per round and way")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    best: dict[tuple[str, int, int], tuple[float, float]] = {}
    for _ in range(options.rounds):
        for layout in LAYOUTS:
            for name in CONTENDERS:
                measured = measure(name, *layout, options.runs)
                best[name, *layout] = max(best.get((name, *layout), (0.0, 0.0)), measured)
    print(f"{'way':12} {'processes':>9} {'threads':>7} {'runs/s':>8} {'of bare':>8} {'CPU us':>8}")
    for processes, threads in LAYOUTS:
        for name in CONTENDERS:
            bare_rate = best[BARE.get(name, "bare spawn"), processes, threads][0]
            rate, cpu_s = best[name, processes, threads]
            print(
                f"{name:12} {processes:9} {threads:7} {rate:8.0f} {rate / bare_rate:8.2f} "
                f"{cpu_s * 1e6:8.0f}"
            )


if __name__ == "__main__":
    main()
