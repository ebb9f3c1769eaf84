"""The server's processes: finding all that belong to one data directory, and ending them.

The pid file is not believed: it outlives its server, its pid may be another program's by now, and
a zombie's pid looks alive. What counts is the process table: the postmaster has the data
directory among its arguments, and its children carry the cluster's name in their titles.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from techno.embedded.errors import EmbeddedError
from techno.embedded.layout import Layout
from techno.processes import Process, process_table, read_arguments, send, wait_until_ended

FAST_SHUTDOWN_LIMIT_S = 60.0
_IMMEDIATE_SHUTDOWN_LIMIT_S = 10.0
_KILL_LIMIT_S = 10.0
_ORPHAN_LIMIT_S = 3.0


def find_postmaster(layout: Layout) -> Process | None:
    """Return the running postmaster of this data directory, if there is one."""
    return next((row for row in _running() if _is_postmaster(layout, row)), None)


def find_family(layout: Layout) -> list[Process]:
    """Return all running server processes of this data directory, the postmaster first."""
    alive = _running()
    masters = [process for process in alive if _is_postmaster(layout, process)]
    title = f"postgres: {layout.cluster_name}: "
    return masters + [
        process for process in alive if " ".join(read_arguments(process.pid)).startswith(title)
    ]


def end_family(layout: Layout, say: Callable[[str], None], *, hurry: bool = False) -> None:
    """End the server and verify that nothing of it runs: by request, by order, by force.

    `hurry` leaves out the polite form, which writes a checkpoint: the next start then recovers.
    Raises `EmbeddedError` when even SIGKILL does not end a process.
    """
    master = find_postmaster(layout)
    if master is not None:
        if not hurry and _ended(layout, master, signal.SIGINT, FAST_SHUTDOWN_LIMIT_S):
            return
        if not hurry:
            say("PostgreSQL does not stop when asked; ending it without a checkpoint.")
        _ended(layout, master, signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_LIMIT_S)
    family = find_family(layout)
    # Children notice the death of their postmaster by themselves, unless they are frozen.
    if family and (master is not None or not wait_until_ended(family, _ORPHAN_LIMIT_S)):
        for process in find_family(layout):
            send(process, signal.SIGKILL)
        if not wait_until_ended(find_family(layout), _KILL_LIMIT_S):
            pids = ", ".join(str(process.pid) for process in find_family(layout))
            raise EmbeddedError(f"Processes {pids} of PostgreSQL cannot be ended: end them first.")


def thaw(layout: Layout) -> None:
    """Let stopped processes of the server go on: a frozen server is worse than a dead one."""
    for process in find_family(layout):
        if process.state in "Tt":
            send(process, signal.SIGCONT)


def _running() -> list[Process]:
    return [process for process in process_table().values() if not process.is_zombie]


def _ended(layout: Layout, master: Process, number: signal.Signals, limit_s: float) -> bool:
    send(master, number)
    thaw(layout)
    return wait_until_ended([master], limit_s) and wait_until_ended(
        find_family(layout), _ORPHAN_LIMIT_S
    )


def _is_postmaster(layout: Layout, process: Process) -> bool:
    # A forked child has the same arguments until it sets its title, but leads no session.
    arguments = read_arguments(process.pid)
    return (
        process.pid == process.session
        and len(arguments) > 2
        and Path(arguments[0]).name == "postgres"
        and arguments[1:3] == ["-D", str(layout.data)]
    )
