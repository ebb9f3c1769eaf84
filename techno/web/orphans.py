"""Processes that nobody waits for any more, and how the supervisor ends them.

The supervisor is a child subreaper: whoever loses its parent below it becomes its child. A live
web worker is a subreaper too and looks after its own commands, so what arrives here has lost its
worker: a command that must not go on unseen, or a part of a service whose master was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

from techno.processes import (
    Process,
    descendants,
    is_alive,
    process_table,
    read_environment_variable,
    send,
    wait_until_ended,
)

# In the environment of every service and of nothing that a service runs for somebody.
SERVICE_VARIABLE = "TECHNO_SERVICE_OF"
REMNANT_GRACE_S = 5.0
_KILL_LIMIT_S = 10.0
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the one to which descendants fall that lose their parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def service_mark(var_dir: Path) -> str:
    """Return the value of `SERVICE_VARIABLE` for the services that keep their state here."""
    return os.path.realpath(var_dir)


class Orphanage:
    """Ends and reaps what was reparented to this process."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._found_at: dict[tuple[int, int], float] = {}

    def sweep(self, own: Collection[int]) -> bool:
        """End every child whose pid is not in `own`; return whether one was found newly.

        Parts of a service are asked first and have `REMNANT_GRACE_S`; everything else is killed
        with all that it started.
        """
        table = process_table()
        orphans = [
            row for row in table.values() if row.parent == os.getpid() and row.pid not in own
        ]
        found = False
        for orphan in orphans:
            if orphan.is_zombie:
                _reap(orphan.pid)
                continue
            found = found or _identity(orphan) not in self._found_at
            if not self._is_leaving(orphan):
                kill_tree(orphan, table)
        alive = {_identity(orphan) for orphan in orphans}
        self._found_at = {key: at for key, at in self._found_at.items() if key in alive}
        return found

    def has_remnants(self, own: Collection[int]) -> bool:
        """Whether parts of a service without its master still run below us."""
        mine = [row for row in process_table().values() if row.parent == os.getpid()]
        return any(
            row.pid not in own and not row.is_zombie and _is_marked(row, self._mark) for row in mine
        )

    def _is_leaving(self, orphan: Process) -> bool:
        """Whether `orphan` is part of a service and still within its grace."""
        key = _identity(orphan)
        is_new = key not in self._found_at
        found_at = self._found_at.setdefault(key, time.monotonic())
        if not _is_marked(orphan, self._mark):
            return False
        if is_new:
            send(orphan, signal.SIGTERM)
            send(orphan, signal.SIGCONT)
        return time.monotonic() - found_at < REMNANT_GRACE_S


def end_remnants(mark: str) -> None:
    """End what a killed supervisor left of its services: asked first, then by force."""
    table = process_table()
    remnants = [
        row
        for row in table.values()
        if row.pid != os.getpid() and not row.is_zombie and _is_marked(row, mark)
    ]
    for row in remnants:
        send(row, signal.SIGTERM)
        send(row, signal.SIGCONT)
    if not wait_until_ended(remnants, REMNANT_GRACE_S):
        for row in filter(is_alive, remnants):
            kill_tree(row, process_table())
        wait_until_ended(remnants, _KILL_LIMIT_S)


def kill_tree(root: Process, table: dict[int, Process]) -> None:
    """Kill a process and all below it, each stopped first so that none can start another."""
    tree = [root, *descendants(root.pid, table)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in tree:
            send(process, number)


def _identity(process: Process) -> tuple[int, int]:
    return process.pid, process.started


def _is_marked(process: Process, mark: str) -> bool:
    return read_environment_variable(process.pid, SERVICE_VARIABLE) == mark


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
