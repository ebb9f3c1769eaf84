"""How much memory the service holds while nobody asks anything."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psutil

from benchmarks.cpu_time import DATABASE_PROCESS, tree


@dataclass(frozen=True)
class Footprint:
    """One kind of process. RSS counts a shared page in each process, PSS divides it among them."""

    kind: str
    processes: int
    rss_mib: float
    pss_mib: float


def measure(root_pid: int) -> list[Footprint]:
    """Return the footprint of everything below (and with) the supervisor `root_pid`."""
    found: dict[str, list[tuple[int, int]]] = {}
    for process in tree(root_pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            memory = process.memory_full_info()
            found.setdefault(_kind(process, root_pid), []).append((memory.rss, memory.pss))
    return [
        Footprint(
            kind,
            len(sizes),
            sum(rss for rss, _ in sizes) / 2**20,
            sum(pss for _, pss in sizes) / 2**20,
        )
        for kind, sizes in sorted(found.items())
    ]


def _kind(process: psutil.Process, root_pid: int) -> str:
    if process.pid == root_pid:
        return "supervisor"
    if process.name() == DATABASE_PROCESS:
        return "embedded PostgreSQL"
    command = " ".join(process.cmdline())
    if "gunicorn" in command:
        return "web master" if process.ppid() == root_pid else "web workers"
    return "keeper" if "manage.py keep" in command else "other"
