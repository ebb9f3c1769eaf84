"""What the pure core of the proof costs: leaves, tree, proofs, bundles, beside their floors.

    python -m benchmarks proof_core [--rows N]

All of this only computes, so processor time is what counts, and of several rounds the best: other
processes on the machine can only make code slower. The floors say what this machine could do at
all: SHA-256 over as many bytes, and a plain `json.dumps` of the same rows.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

from audit import verify
from audit.canonical import LEAF_VERSION, leaf_bytes
from audit.merkle import (
    Frontier,
    consistency_plan,
    inclusion_plan,
    leaf_hash,
    node_hash,
    verify_inclusion,
)
from tests.audit.sample_log import FIRST_KEY, SampleLog, sample_log

ROUNDS = 5
TEN_MILLION = 10_000_000


def per_second(count: int, work: Callable[[], object]) -> float:
    """Best rate, by processor time, of several rounds of `work`, which does `count` things."""
    durations = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        durations.append(time.process_time() - begin)
    return count / min(durations)


def show(what: str, rate: float, unit: str, floor: float | None = None) -> None:
    """One line of the table."""
    ratio = "" if floor is None else f"{rate / floor:8.2f} of the floor"
    print(f"{what:44} {rate:12,.0f} {unit}{ratio}")


def measure_leaves(rows: list[dict[str, Any]]) -> list[bytes]:
    """Leaf data and hashes, which every sealing and every verification makes."""
    count = len(rows)
    data = [leaf_bytes(LEAF_VERSION, row) for row in rows]
    hashes = [leaf_hash(item) for item in data]
    print(f"leaf data: {sum(map(len, data)) / count:.0f} bytes on average")

    plain = [{**row, "salt": None, "trace_id": "", "timestamp": ""} for row in rows]
    floor = per_second(count, lambda: [json.dumps(row, sort_keys=True) for row in plain])
    show("floor: json.dumps of the same rows", floor, "rows/s")
    rate = per_second(count, lambda: [leaf_bytes(LEAF_VERSION, row) for row in rows])
    show("leaf_bytes (three commitments each)", rate, "rows/s", floor)
    floor = per_second(count, lambda: [sha256(item).digest() for item in data])
    show("floor: SHA-256 of the leaf data", floor, "rows/s")
    show("leaf_hash", per_second(count, lambda: [leaf_hash(i) for i in data]), "rows/s", floor)
    return hashes


def measure_tree(rows: list[dict[str, Any]], hashes: list[bytes]) -> None:
    """Growing the tree: in bulk as the sealer does, leaf by leaf as a verifier does."""
    count = len(hashes)
    pair = b"\x01" + bytes(64)
    floor = per_second(count, lambda: [sha256(pair).digest() for _ in range(count)])
    show("floor: SHA-256 of 65 bytes", floor, "nodes/s")
    show("tree in bulk", per_second(count, lambda: Frontier().extend(hashes)), "leaves/s", floor)

    def one_by_one() -> None:
        frontier = Frontier()
        for value in hashes:
            frontier.append(value)

    show("tree leaf by leaf", per_second(count, one_by_one), "leaves/s", floor)

    def from_rows() -> None:
        frontier = Frontier()
        for row in rows:
            frontier.append(leaf_hash(leaf_bytes(LEAF_VERSION, row)))

    show("verification without I/O (rows to root)", per_second(count, from_rows), "rows/s")

    def sealed() -> None:
        Frontier().extend([leaf_hash(leaf_bytes(LEAF_VERSION, row)) for row in rows])

    show("sealing without I/O (rows to nodes)", per_second(count, sealed), "rows/s")


def measure_proofs() -> None:
    """Plans and verification at ten million leaves; reading the nodes is the database's part."""
    random = Random(1)
    indexes = [random.randrange(TEN_MILLION) for _ in range(1_000)]
    plans = [inclusion_plan(index, TEN_MILLION) for index in indexes]
    most = max(sum(map(len, plan)) for plan in plans)
    print(f"inclusion at ten million leaves: at most {most} nodes to read")
    show(
        "inclusion plan at ten million",
        per_second(1_000, lambda: [inclusion_plan(index, TEN_MILLION) for index in indexes]),
        "plans/s",
    )
    show(
        "consistency plan at ten million",
        per_second(1_000, lambda: [consistency_plan(n + 1, TEN_MILLION) for n in indexes]),
        "plans/s",
    )
    leaf, path = bytes(32), [bytes(32)] * 24
    root = leaf
    for sibling in path:
        root = node_hash(root, sibling)

    def verified() -> None:
        for _ in indexes:
            verify_inclusion(leaf, 0, 2**24, path, root)

    show("inclusion verified, 24 hashes", per_second(len(indexes), verified), "proofs/s")


def measure_bundle(log: SampleLog) -> None:
    """Writing a bundle, and the standalone verifier over it."""
    count = len(log.rows)
    note = log.note(count)
    with tempfile.NamedTemporaryFile(suffix=".zip") as target:

        def write() -> None:
            target.truncate(0)
            target.seek(0)
            target.write(log.bundle([note]))
            target.flush()

        show("bundle written", per_second(count, write), "rows/s")
        print(f"bundle: {target.tell() / count:.0f} bytes a row")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rate = per_second(count, lambda: verify.verify(target.name, [FIRST_KEY.verifier.vkey]))
        show("bundle verified by audit/verify.py", rate, "rows/s")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"resident memory grew by {grown} KiB while verifying")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks proof_core")
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    log = sample_log(options.rows)
    measure_leaves(log.rows)
    measure_tree(log.rows, log.hashes)
    measure_proofs()
    measure_bundle(log)


if __name__ == "__main__":
    main()
