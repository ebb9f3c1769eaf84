"""What /proc tells about processes. Every reader answers "gone" instead of raising.

A process can end, and its number can be given to another, between any two calls. Whoever acts
on an answer has to pin the process first (`os.pidfd_open`) or to be its parent and not have
reaped it; see `executor.process_tree`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

_DEAD_STATES = frozenset("ZXx")
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of /proc/<pid>/stat. `start_ticks` and `pid` together name a process for good."""

    pid: int
    name: str
    state: str
    ppid: int
    pgid: int
    flags: int
    threads: int
    start_ticks: int

    @property
    def is_dead(self) -> bool:
        """True for a zombie: it runs no more and only waits to be reaped.

        A process whose first thread has ended before the others looks like one, but lives.
        """
        return self.state in _DEAD_STATES and self.threads <= 1


def read_stat(pid: int) -> Stat | None:
    """The state of a process, None when there is none of that number."""
    line = _read(f"/proc/{pid}/stat")
    # The name stands in parentheses and may itself hold spaces and parentheses.
    opening, closing = line.find(b"("), line.rfind(b")")
    if closing < 0:
        return None
    fields = line[closing + 2 :].split()
    return Stat(
        pid=pid,
        name=line[opening + 1 : closing].decode("utf-8", "replace"),
        state=fields[0].decode("ascii"),
        ppid=int(fields[1]),
        pgid=int(fields[2]),
        flags=int(fields[6]),
        threads=int(fields[17]),
        start_ticks=int(fields[19]),
    )


def is_same(earlier: Stat, later: Stat | None) -> bool:
    """Whether a number still names the process it named before."""
    return later is not None and later.start_ticks == earlier.start_ticks


def list_pids() -> list[int]:
    """Every process that this /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def list_children(pid: int) -> list[int]:
    """Direct children of all threads of a process, zombies included."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def scan_children(pid: int) -> list[int]:
    """The same as `list_children` for kernels built without CONFIG_PROC_CHILDREN; slow."""
    stats = map(read_stat, list_pids())
    return [stat.pid for stat in stats if stat is not None and stat.ppid == pid]


def read_environment_value(pid: int, name: str) -> str | None:
    """A variable of the environment that a process was started with.

    None when it is not there, or the environment is not to be seen: the process is dead or in the
    midst of exec, or it may not be read (that takes the same user and a program that is not
    set-user-ID, or CAP_SYS_PTRACE).
    """
    start = name.encode() + b"="
    for entry in _read(f"/proc/{pid}/environ").split(b"\0"):
        if entry.startswith(start):
            return entry[len(start) :].decode("utf-8", "surrogateescape")
    return None


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    chunks = []
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            chunks.append(chunk)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return b"".join(chunks)
