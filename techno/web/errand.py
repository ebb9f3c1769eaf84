"""A management command that the supervisor runs beside the services, again until it succeeds."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from techno.web.postgres_keeper import backoff_s


class Errand:
    """One command, run once for any number of requests that came before its start."""

    def __init__(self, spawn: Callable[[], subprocess.Popen[bytes]]) -> None:
        """Prepare; `spawn` starts the command."""
        self._spawn = spawn
        self._is_due = False
        self._failures = 0
        self._not_before = 0.0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_pending(self) -> bool:
        """Whether it runs, or waits for its turn."""
        return self._is_due or self.process is not None

    def request(self) -> None:
        """Ask for a run that begins after this moment."""
        self._is_due = True

    def look_after(self) -> None:
        """Take note of its end, and start it when that is due."""
        if self.process is not None and self.process.poll() is not None:
            self._note(succeeded=self.process.returncode == 0)
            self.process = None
        if self._is_due and self.process is None and time.monotonic() >= self._not_before:
            try:
                self.process = self._spawn()
                self._is_due = False
            except OSError:  # no memory or no process left; the next turn may find some
                self._note(succeeded=False)

    def _note(self, *, succeeded: bool) -> None:
        self._failures = 0 if succeeded else self._failures + 1
        self._is_due = self._is_due or not succeeded
        self._not_before = time.monotonic() + backoff_s(self._failures)
