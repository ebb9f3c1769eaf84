"""What the kernel tells of processes: a table from /proc, and waiting for an end with a limit."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """One row of the process table. `started` (clock ticks since boot) tells a reused pid apart."""

    pid: int
    parent: int
    session: int
    state: str
    started: int

    @property
    def is_zombie(self) -> bool:
        """Whether it has ended and only waits to be reaped: a pid, but nothing that runs."""
        return self.state in "ZX"


def read_process(pid: int) -> Process | None:
    """Return the row of `pid`, or None when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself contain any character, parentheses too.
    fields = text[text.rindex(")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[3]), fields[0], int(fields[19]))


def process_table() -> dict[int, Process]:
    """Return every visible process by pid."""
    pids = (int(name) for name in os.listdir(_PROC) if name.isdecimal())
    rows = (read_process(pid) for pid in pids)
    return {row.pid: row for row in rows if row is not None}


def read_arguments(pid: int) -> list[str]:
    """Return the argument vector (or the title that a process gave itself), empty when gone."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(part) for part in raw.rstrip(b"\0").split(b"\0")] if raw else []


def read_environment_variable(pid: int, name: str) -> str | None:
    """Return one variable of the environment that `pid` was started with.

    None where it is not set, and where we may not look.
    """
    try:
        raw = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return None
    prefix = os.fsencode(name) + b"="
    values = (item for item in raw.split(b"\0") if item.startswith(prefix))
    found = next(values, None)
    return None if found is None else os.fsdecode(found[len(prefix) :])


def is_alive(process: Process) -> bool:
    """Whether this very process still runs: not ended, not a zombie, not another of its pid."""
    row = read_process(process.pid)
    return row is not None and row.started == process.started and not row.is_zombie


def send(process: Process, number: signal.Signals) -> None:
    """Send a signal to this very process; no error where it has ended or is not ours to signal."""
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def wait_until(condition: Callable[[], bool], limit_s: float) -> bool:
    """Wait until `condition` holds, `limit_s` at most; return whether it does."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def wait_until_ended(processes: Iterable[Process], limit_s: float) -> bool:
    """Wait until none of `processes` runs, `limit_s` at most; return whether that is so."""
    waiting = list(processes)
    return wait_until(lambda: not any(is_alive(process) for process in waiting), limit_s)


def descendants(pid: int, table: dict[int, Process]) -> list[Process]:
    """Return the processes of `table` below `pid`, parents before their children."""
    children: dict[int, list[Process]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += [process.pid for process in below]
    return found
