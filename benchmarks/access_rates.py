"""How exactly a rate holds while four processes take from one bucket as fast as they can.

``python -m benchmarks.access_rates [SECONDS]``. Each process knows the bucket only by the database.
What is right is the bucket's size and what comes back to it while they take.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import service
from benchmarks.access_scene import Measured, measured

PROCESSES = 4
RATES = ((1_000, 1), (5_000, 10), (600, 60), (100, 1))
_TAKE = """
import json, sys, time
from techno.access.tokens import bucket
from techno.database.current import store
from techno.governance.restrictions import Rate
reads, asked, rows = store().reads, [0], store().reads.row
def counted(*given):
    asked[0] += 1
    return rows(*given)
reads.row = counted
share = bucket(%r, Rate(%d, %d))
reads.rows("SELECT 1")
print("ready", flush=True)
begins = float(sys.stdin.readline())
while time.time() < begins:
    time.sleep(0.000_5)
ends, allowed, tries = begins + %r, 0, 0
while (now := time.time()) < ends:
    tries += 1
    if share.take().allowed:
        allowed += 1
    else:
        time.sleep(0.000_2)
print(json.dumps([allowed, tries, asked[0]]))
"""
_AHEAD_S = 0.5


def hammer(scene: Measured, requests: int, window_s: int, seconds: float) -> dict[str, float]:
    """Let the processes take, and return what they got beside what is right."""
    code = _TAKE % (f"bench:{time.time()}", requests, window_s, seconds)
    command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", code]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [
        subprocess.Popen(command, env=scene.environment, cwd=service.PROJECT, **pipes)
        for _ in range(PROCESSES)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    begins = f"{time.time() + _AHEAD_S}\n"
    told = [json.loads(out.splitlines()[-1]) for out in _together(running, begins)]
    allowed, tries, asked = (sum(column) for column in zip(*told, strict=True))
    right = requests + requests / window_s * seconds
    return {
        "allowed": allowed,
        "right": right,
        "off_percent": round((allowed / right - 1) * 100, 2),
        "tries": tries,
        "statements": asked,
        "least_of_a_process": min(row[0] for row in told),
    }


def _together(running: list[subprocess.Popen[str]], begins: str) -> Iterator[str]:
    """Tell all of them when to begin, then wait for each and yield what it printed."""
    for process in running:
        assert process.stdin is not None
        process.stdin.write(begins)
        process.stdin.flush()
    for process in running:
        yield process.communicate()[0]


def main() -> None:
    """Print one line of JSON for each rate."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with measured(TECHNO_WORKERS="1") as scene:
        for requests, window_s in RATES:
            found = hammer(scene, requests, window_s, seconds)
            print(json.dumps({"rate": f"{requests}/{window_s}s", **found}), flush=True)


if __name__ == "__main__":
    main()
