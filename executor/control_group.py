"""A control group of its own for each run, where the kernel lets us make one.

Membership is inherited by every child, and a process cannot shed it: neither setsid, nor a double
fork, nor a cleared environment, nor another user hides it. `cgroup.kill` (Linux 5.14) ends all
members at once, those that are being born included. What a child forks in the moment before its
leader is put into the group stays outside; `executor.process_tree` finds that, as it does where
there are no groups. A group takes a few milliseconds to make, so only long runs get one.
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import cache

_PREFIX = "techno."
_LOOK_EVERY_S = 0.005
_MEMBERS_NAMED = 1000


class ControlGroup:
    """The group of one run; made by `make`, and gone after `remove`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def add(self, pid: int) -> None:
        """Put a process into the group, and with it all that it will start."""
        with contextlib.suppress(OSError):  # it has ended already
            self._write("cgroup.procs", str(pid))

    def members(self) -> list[int]:
        """The processes in the group, dead ones that nobody reaped left out by the kernel."""
        try:
            with open(f"{self._path}/cgroup.procs", encoding="ascii") as file:
                return [int(line) for line in file.read().split()][:_MEMBERS_NAMED]
        except OSError:
            return []

    def kill(self, bound_s: float) -> bool:
        """Kill every member and wait until none is left; False when some are after `bound_s`."""
        give_up_at = time.monotonic() + bound_s
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", "1")
        while self._is_populated():
            if time.monotonic() >= give_up_at:
                return False
            time.sleep(_LOOK_EVERY_S)
        return True

    def remove(self) -> None:
        """Take the group away; one that still has members stays."""
        with contextlib.suppress(OSError):
            os.rmdir(self._path)

    def _is_populated(self) -> bool:
        try:
            with open(f"{self._path}/cgroup.events", encoding="ascii") as file:
                return "populated 1" in file.read()
        except OSError:
            return False

    def _write(self, name: str, text: str) -> None:
        with open(f"{self._path}/{name}", "w", encoding="ascii") as file:
            file.write(text)


def make(marker: str) -> ControlGroup | None:
    """Make the group of a run; None where there can be none."""
    path = _path_of(marker)
    if not path:
        return None
    try:
        os.mkdir(path)
    except OSError:
        return None
    return ControlGroup(path)


def find(marker: str) -> ControlGroup | None:
    """The group that a run left behind, if any."""
    path = _path_of(marker)
    return ControlGroup(path) if path and os.path.isdir(path) else None


def _path_of(marker: str) -> str:
    base = _base()
    return f"{base}/{_PREFIX}{marker}" if base and "/" not in marker else ""


@cache
def _base() -> str:
    """The directory of our own group, empty where groups cannot be made or killed."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            lines = [line.split() for line in file]
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            own = next(line[3:].strip() for line in file if line.startswith("0::"))
    except (OSError, StopIteration):
        return ""
    mount = next((line[4] for line in lines if "cgroup2" in line[line.index("-") :]), "")
    base = f"{mount}{own}".rstrip("/")
    if not mount or not os.access(base, os.W_OK):
        return ""
    return base if _can_kill(base) else ""


def _can_kill(base: str) -> bool:
    """Whether groups made there have `cgroup.kill`; tried, since the root group has none."""
    probe = f"{base}/{_PREFIX}probe.{os.getpid()}"
    try:
        os.mkdir(probe)
    except OSError:
        return False
    try:
        return os.access(f"{probe}/cgroup.kill", os.W_OK)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(probe)
