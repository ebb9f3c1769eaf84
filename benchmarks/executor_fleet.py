"""Asynchronous runs: how soon they start, how soon they are dead, what a flood of output costs.

    python -m benchmarks.executor_fleet [--starts 200] [--cancels 20]

- start: from the request's arrival to the moment before the spawn, on an idle worker, as the
  run's row has both
- cancel: from sending the request to the end of the last of 50 processes that ignore TERM,
  as the kernel tells by their pidfds
- flood: 1 GiB printed through a limit of 1 MiB; by how much the worker's resident memory grew
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import select
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.service import BenchmarkError, Server, running
from executor import procfs
from executor.spawn import EXECUTION_ID_VARIABLE
from techno.processes import descendants, process_table, read_arguments

PROCESSES = 50
START_P50_MS = 50
CANCEL_P99_S = 1.0
FLOOD_GROWTH_MIB = 20
_LIMIT_S = 120.0
_ACTIONS = """
[action.BENCH_START]
argv = ["/bin/true"]
working_directory = "/"
is_async = true

[action.BENCH_STUBBORN]
argv = ["/bin/sh", "-c", '''trap '' TERM
i=0; while [ $i -lt 48 ]; do sleep 600 & i=$((i+1)); done; sleep 600 & wait; sleep 600''']
timeout_s = 600
is_async = true

[action.BENCH_FLOOD]
argv = ["/usr/bin/head", "-c", "1073741824", "/dev/zero"]
output_limit_bytes = 1048576
timeout_s = 600
is_async = true
"""


class Client:
    """Asks one service."""

    def __init__(self, server: Server) -> None:
        self._headers = {"X-API-Key": server.key, "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Return the body of an answer."""
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, self._headers)
        found: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return found

    def queue(self, command: str) -> str:
        """Queue a run and return its identity."""
        return str(self.ask("POST", "/api/execute", {"command": command})["execution_id"])

    def ended(self, execution_id: str) -> dict[str, Any]:
        """Wait for a run's end and return what is told of it."""
        give_up_at_s = time.monotonic() + _LIMIT_S
        while time.monotonic() < give_up_at_s:
            body = self.ask("GET", f"/api/runs/{execution_id}")
            if body["state"] == "ended":
                return body
            time.sleep(0.02)
        raise BenchmarkError(f"{execution_id} did not end")


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def starts(client: Client, count: int) -> None:
    """Measure how soon a run starts that nothing is in the way of."""
    taken = []
    for _ in range(count):
        data = client.ended(client.queue("BENCH_START"))["data"]
        taken.append(_ms(data["started_at"]) - _ms(data["requested_at"]))
    p50 = _quantile(taken, 0.5)
    print(
        f"start  p50 {p50:.0f} ms, p99 {_quantile(taken, 0.99):.0f} ms of {count} runs"
        f"  (wanted: p50 ≤ {START_P50_MS} ms {'met' if p50 <= START_P50_MS else 'MISSED'})",
        flush=True,
    )


def _ms(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() * 1000


def cancels(client: Client, count: int) -> None:
    """Measure how soon a stubborn tree is dead."""
    taken = []
    for _ in range(count):
        execution_id = client.queue("BENCH_STUBBORN")
        descriptors = _pidfds(execution_id)
        began_s = time.perf_counter()
        client.ask("POST", f"/api/runs/{execution_id}/cancel", {"reason": "measured"})
        answered_s = time.perf_counter()
        taken.append(_await_ends(descriptors, began_s, answered_s))
        client.ended(execution_id)
    p99 = _quantile(taken, 0.99)
    print(
        f"cancel p50 {_quantile(taken, 0.5):.2f} s, p99 {p99:.2f} s of {count} trees of {PROCESSES}"
        f"  (wanted: p99 ≤ {CANCEL_P99_S} s {'met' if p99 <= CANCEL_P99_S else 'MISSED'})",
        flush=True,
    )


def _pidfds(execution_id: str) -> list[int]:
    """Wait until the tree stands, and return a descriptor of each process."""
    give_up_at_s = time.monotonic() + _LIMIT_S
    while time.monotonic() < give_up_at_s:
        found = [
            pid
            for pid in procfs.list_pids()
            if procfs.read_environment_value(pid, EXECUTION_ID_VARIABLE) == execution_id
        ]
        if len(found) >= PROCESSES:
            return [os.pidfd_open(pid) for pid in found]
        time.sleep(0.1)
    raise BenchmarkError("the tree did not grow")


def _await_ends(descriptors: list[int], began_s: float, answered_s: float) -> float:
    """Return when the last process had ended, at the latest when the answer said so."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    left = len(descriptors)
    late = bool(poll.poll(0)) and len(poll.poll(0)) == left
    while left:
        for descriptor, _ in poll.poll(10_000):
            poll.unregister(descriptor)
            os.close(descriptor)
            left -= 1
    # The cancel is answered once the run has ended: all were dead by then.
    return (answered_s if late else time.perf_counter()) - began_s


def flood(client: Client, service: Server) -> None:
    """Measure what much output does to the worker's memory."""
    below = descendants(service.pid, process_table())
    (worker,) = [
        row.pid for row in below if read_arguments(row.pid)[-2:] == ["manage.py", "worker"]
    ]
    before = peak = _resident_mib(worker)
    began_s = time.monotonic()
    execution_id = client.queue("BENCH_FLOOD")
    while client.ask("GET", f"/api/runs/{execution_id}")["state"] != "ended":
        peak = max(peak, _resident_mib(worker))
        time.sleep(0.01)
    taken_s = time.monotonic() - began_s
    body = client.ended(execution_id)
    growth = max(peak, _resident_mib(worker)) - before
    print(
        f"flood  {body['data']['output_bytes'] / 2**30:.2f} GiB in {taken_s:.1f} s, resident memory"
        f" {before:.0f} MiB, grew {growth:.1f} MiB, {len(body['stdout'])} characters kept"
        f"  (wanted: < {FLOOD_GROWTH_MIB} MiB {'met' if growth < FLOOD_GROWTH_MIB else 'MISSED'})",
        flush=True,
    )


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=200)
    parser.add_argument("--cancels", type=int, default=20)
    options = parser.parse_args()
    with running(actions=_ACTIONS) as scene:
        client = Client(scene.service)
        client.ended(client.queue("BENCH_START"))  # everything is warm now
        starts(client, options.starts)
        flood(client, scene.service)
        cancels(client, options.cancels)


if __name__ == "__main__":
    main()
