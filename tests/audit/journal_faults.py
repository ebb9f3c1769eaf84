"""A disk that fails on command, for the tests of the journal."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit.journal_disk import Disk

# A directory in memory where there is one: who is killed takes no page cache with him.
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else None

CALLS = [name for name in vars(Disk) if not name.startswith("_")]

Fault = Callable[[int, str, Callable[[], Any], tuple[Any, ...]], Any]


class FaultyDisk(Disk):
    """Counts system calls and lets ``fault(number, name, call, arguments)`` make each of them."""

    def __init__(self, fault: Fault | None = None) -> None:
        self.count = 0
        self.fault = fault

    def call(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.count += 1

        def real() -> Any:
            return getattr(Disk, name)(self, *arguments)

        return self.fault(self.count, name, real, arguments) if self.fault else real()


def _routed(name: str) -> Callable[..., Any]:
    return lambda self, *arguments: self.call(name, arguments)


for _name in CALLS:
    setattr(FaultyDisk, _name, _routed(_name))


def kill_at(number: int, *, half: bool = False) -> Fault:
    """SIGKILL ourselves at one call: before it, or in the middle of it where it is a write."""

    def fault(count: int, name: str, real: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if count == number:
            if half and name == "pwrite":
                fd, data, offset = arguments
                os.pwrite(fd, data[: len(data) // 2], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        return real()

    return fault


def fail(error: int, *, first: int, last: int | None = None) -> Fault:
    """Let the calls from ``first`` to ``last`` (for ever when None) fail with an errno."""

    def fault(count: int, name: str, real: Callable[[], Any], _: tuple[Any, ...]) -> Any:
        if count >= first and (last is None or count <= last) and name not in ("close", "flock"):
            raise OSError(error, os.strerror(error))
        return real()

    return fault


def short_writes(most: int) -> Fault:
    """Let the kernel take at most so many bytes of each write."""

    def fault(_: int, name: str, real: Callable[[], Any], arguments: tuple[Any, ...]) -> Any:
        if name != "pwrite":
            return real()
        fd, data, offset = arguments
        return os.pwrite(fd, data[:most], offset)

    return fault


def at_call(name: str, act: Callable[[], Any]) -> Fault:
    """Do something once, just before the first call of that name."""
    done: list[bool] = []

    def fault(_: int, called: str, real: Callable[[], Any], __: tuple[Any, ...]) -> Any:
        if called == name and not done:
            done.append(True)
            act()
        return real()

    return fault


def segments(directory: Path) -> list[Path]:
    """The segments of a journal that are not set aside, oldest first."""
    return sorted(directory.glob("*.journal"))
