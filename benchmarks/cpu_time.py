"""What a request costs the machine, whatever else the machine is doing meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

DATABASE_PROCESS = "postgres"


def tree(root_pid: int) -> Iterator[psutil.Process]:
    """Return a process and all below it."""
    root = psutil.Process(root_pid)
    yield root
    yield from root.children(recursive=True)


def used_s(root_pid: int, *, database: bool) -> float:
    """Return the processor seconds that the PostgreSQL processes below `root_pid` used so far,
    or all others.

    A process that ended is in the sum too: its time went to the parent that reaped it.
    """
    total = 0.0
    for process in tree(root_pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            if (process.name() == DATABASE_PROCESS) is database:
                total += sum(process.cpu_times()[:4])
    return total
