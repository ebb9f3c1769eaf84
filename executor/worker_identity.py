"""Which process watches a run, told so that another process can find out whether it lives.

A process id alone is used again after its owner died; with the boot and the start time of the
process it names one process for ever.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

HOST = socket.gethostname()
_START_TIME_FIELD = 19  # of /proc/<pid>/stat, counted after the command's closing bracket


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return "unknown"


def _start_time(pid: int) -> str:
    """Return the start time of a process in clock ticks since boot, ``""`` when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    fields = stat.rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X"):  # dead, waiting to be reaped: it watches nothing
        return ""
    return fields[_START_TIME_FIELD].decode("ascii")


_cached: tuple[int, str] = (0, "")


def this_worker() -> str:
    """Return the identity of the calling process."""
    global _cached
    pid = os.getpid()
    if _cached[0] != pid:
        _cached = (pid, f"{_boot()}:{pid}:{_start_time(pid)}")
    return _cached[1]


def is_alive(worker: str) -> bool:
    """Whether the process named by ``worker`` (made on this host) still runs."""
    try:
        boot, pid, started = worker.split(":")
        return boot == _boot() and bool(started) and _start_time(int(pid)) == started
    except ValueError:
        return False
