"""The table for people and the file for machines."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cases import Outcome
from benchmarks.footprint import Footprint
from benchmarks.service import PROJECT, RESULTS

_FLUSHES = 200
_BLOCK_BYTES = 8192


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision,
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "flush_ms": round(_flush_ms(), 2),
    }


def _flush_ms() -> float:
    """The median time of writing a block and flushing it: what every commit waits for."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    took_s = []
    with tempfile.NamedTemporaryFile(dir=RESULTS) as file:
        for _ in range(_FLUSHES):
            began_at = time.perf_counter()
            os.pwrite(file.fileno(), bytes(_BLOCK_BYTES), 0)
            os.fdatasync(file.fileno())
            took_s.append(time.perf_counter() - began_at)
    return statistics.median(took_s) * 1000


def heading(facts: dict[str, Any]) -> str:
    """One line that says where and when."""
    return (
        f"{facts['measured_at']}, revision {facts['revision'] or 'unknown'}, "
        f"Python {facts['python']}, {facts['cores']} × {facts['processor']}, "
        f"load before {facts['load_before'][0]}, a flush to disk {facts['flush_ms']} ms"
    )


def table(outcome: Outcome) -> str:
    """One case: medians of its contenders, then its targets."""
    lines = [
        "",
        f"{outcome.title}  (median of {outcome.rounds} rounds)",
        f"  {'':28} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'errors':>6} "
        f"{'web µs':>7} {'db µs':>7}",
    ]
    for name, each in outcome.medians.items():
        lines.append(
            f"  {name:28} {each.requests_per_s:10.0f} {each.p50_ms:8.2f} {each.p99_ms:8.2f} "
            f"{each.errors:6} {each.web_us:7.0f} {each.database_us:7.0f}"
        )
    for target in outcome.targets:
        lines.append(
            f"    {target['rule']:44} {target['value']:6.2f} "
            f"({target['lowest']:.2f} to {target['highest']:.2f})  "
            f"{'met' if target['met'] else 'MISSED'}"
        )
    return "\n".join(lines)


def footprint_table(found: Sequence[Footprint]) -> str:
    """The idle memory."""
    lines = ["", "Idle footprint", f"  {'':28} {'processes':>9} {'RSS MiB':>8} {'PSS MiB':>8}"]
    for each in found:
        lines.append(f"  {each.kind:28} {each.processes:9} {each.rss_mib:8.1f} {each.pss_mib:8.1f}")
    return "\n".join(lines)


def write(facts: dict[str, Any], outcomes: Sequence[Outcome], found: Sequence[Footprint]) -> Path:
    """Write everything as JSON and return where."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = facts["measured_at"].replace(":", "").replace("+0000", "Z")
    path = RESULTS / f"{name}.json"
    document = {
        "machine": facts,
        "cases": [outcome.as_dict() for outcome in outcomes],
        "footprint": [asdict(each) for each in found],
    }
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path
