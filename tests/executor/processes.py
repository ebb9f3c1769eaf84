"""Real processes for the engine's tests."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from executor import procfs
from executor.engine import Command

WAIT_S = 30.0


def is_alive(pid: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and not stat.is_dead


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that must come about; the bound only ends a test that failed."""
    give_up_at = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up_at, "what was waited for did not happen"
        time.sleep(0.01)


class Programs:
    """Commands for one test, and the numbers of the processes they start."""

    def __init__(self, directory: Path, marker: str) -> None:
        self._directory = directory
        self._marker = marker

    def shell(self, script: str, **options: object) -> Command:
        """A command for sh in which `$PIDS/name` can be written."""
        return self._command(("/bin/sh", "-c", script), options)

    def python(self, script: str, **options: object) -> Command:
        """A command for this interpreter, with `enrol()` to leave the own number behind."""
        prelude = f"""
            import os, signal, sys, time
            def enrol():
                open({str(self._directory)!r} + "/" + str(os.getpid()), "w").close()
        """
        source = textwrap.dedent(prelude) + textwrap.dedent(script)
        return self._command((sys.executable, "-I", "-S", "-c", source), options)

    def enrolled(self) -> list[int]:
        """The processes that said they were there, alive or not."""
        return [int(name) for name in os.listdir(self._directory)]

    def alive(self) -> list[int]:
        return [pid for pid in self.enrolled() if is_alive(pid)]

    def _command(self, argv: tuple[str, ...], options: dict[str, object]) -> Command:
        env = {"PIDS": str(self._directory)}
        return Command(argv, **{"marker": self._marker, "env": env, **options})  # type: ignore[arg-type]
