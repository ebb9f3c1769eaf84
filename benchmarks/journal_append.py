"""How fast the audit journal takes records and gives them back, beside the bare disk.

    python -m benchmarks.journal_append [--records 3000] [--size 600] [--rounds 5] [--directory D]

Everything is measured in turns within each round, for the disk's speed changes with what else the
machine does; the median round counts, and each ratio is formed within a round.

- raw:       write and fsync of the same bytes at the end of one plain file
- 1 thread:  `Journal.append`, one record after the other
- 8 threads: `Journal.append` from all of them at one Journal, which writes their records together
- replay:    `Journal.replay` of those records, in batches of 500, to a deliverer that does nothing
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from audit.journal import Journal
from audit.journal_format import FRAME_BYTES

THREADS = 8
TARGETS_PER_S = {"1 thread": 3_000, "replay": 20_000}


def rate(count: int, work: Callable[[], object]) -> float:
    """Things a second, by the clock on the wall: it is the disk that is measured."""
    began_s = time.perf_counter()
    work()
    return count / (time.perf_counter() - began_s)


def raw(path: Path, data: bytes, count: int) -> None:
    """The floor: the same bytes, as durable, with nothing around them."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for at in range(count):
        os.pwrite(fd, data, at * len(data))
        os.fsync(fd)
    os.close(fd)


def append(journal: Journal, record: bytes, count: int, threads: int) -> None:
    """Append `count` records from so many threads."""

    def repeat() -> None:
        for _ in range(count // threads):
            journal.append(record, timeout_s=60)

    workers = [threading.Thread(target=repeat) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def measure(home: Path, record: bytes, count: int) -> dict[str, float]:
    """One round: records a second of each contender."""
    found = {}
    data = record + bytes(FRAME_BYTES)
    found["raw"] = rate(count, lambda: raw(home / "raw", data, count))
    journal = Journal(home / "journal")
    journal.append(record)
    found["1 thread"] = rate(count, lambda: append(journal, record, count, 1))
    found["8 threads"] = rate(count, lambda: append(journal, record, count, THREADS))
    waiting = journal.pending().records
    found["replay"] = rate(waiting, lambda: journal.replay(lambda records: None))
    left = journal.pending().records
    journal.close()
    if waiting != 1 + count + count // THREADS * THREADS or left:
        raise RuntimeError(f"{waiting} records were journalled and {left} are left")
    return found


def show(rounds: list[dict[str, float]]) -> None:
    """The table: median, extremes, and the median ratio to the raw disk."""
    print(f"{'':10} {'median/s':>10} {'least/s':>10} {'most/s':>10} {'of raw':>8} {'target/s':>10}")
    for name in rounds[0]:
        rates = [found[name] for found in rounds]
        ratio = statistics.median(found[name] / found["raw"] for found in rounds)
        target = f"{TARGETS_PER_S[name]:,}" if name in TARGETS_PER_S else ""
        print(
            f"{name:10} {statistics.median(rates):10,.0f} {min(rates):10,.0f} {max(rates):10,.0f}"
            f" {ratio:8.2f} {target:>10}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the audit journal beside the bare disk.")
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--size", type=int, default=600, help="bytes of a record")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--directory", type=Path, default=None, help="on the disk to measure")
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.directory) as home:
            rounds.append(measure(Path(home), b"x" * options.size, options.records))
    load = os.getloadavg()[0]
    print(f"{options.records} records of {options.size} bytes, load {load:.1f} afterwards")
    show(rounds)


if __name__ == "__main__":
    main()
