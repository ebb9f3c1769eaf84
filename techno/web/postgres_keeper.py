"""Keeps the embedded database alive: starts it again when it has ended, or hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

from techno.embedded import EmbeddedError, EmbeddedPostgres
from techno.web.interrupts import Interrupts

_BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_PROBE_EVERY_S = 15.0
_PROBES_UNTIL_RESTART = 3


def backoff_s(failures: int) -> float:
    """Return how long to wait before the next try after so many failures in a row."""
    return _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]


class PostgresKeeper:
    """Looks after one embedded server for the supervisor's loop."""

    def __init__(
        self, postgres: EmbeddedPostgres, interrupts: Interrupts, say: Callable[[str], None]
    ) -> None:
        self._postgres = postgres
        self._interrupts = interrupts
        self._say = say
        self._failures = 0
        self._not_before = 0.0
        self._silent_probes = 0
        self._next_probe = 0.0

    @property
    def pids(self) -> set[int]:
        """The server's process id; empty when it does not run."""
        return set() if self._postgres.pid is None else {self._postgres.pid}

    @property
    def is_needed(self) -> bool:
        """Whether the server has ended and waits for its next start."""
        return self._postgres.has_ended()

    def start(self) -> None:
        """Start the server; raise `EmbeddedError`, also as soon as somebody asks for the end."""
        self._postgres.start(cancelled=lambda: self._interrupts.stop_requested)
        self._next_probe = time.monotonic() + _PROBE_EVERY_S
        self._silent_probes = 0

    def look_after(self) -> bool:
        """Start the server again if it has to be; return whether that was done."""
        if time.monotonic() < self._not_before:
            return False
        if self._postgres.has_ended():
            self._say("PostgreSQL ended; starting it again.")
        elif self._is_silent():
            self._say("PostgreSQL does not answer; starting it again.")
        else:
            return False
        try:
            self.start()
        except EmbeddedError as error:
            if not self._interrupts.stop_requested:
                self._failures += 1
                pause_s = backoff_s(self._failures)
                self._not_before = time.monotonic() + pause_s
                self._say(f"{error} Trying again in {pause_s:.0f} s.")
            return False
        self._failures = 0
        self._say("PostgreSQL answers again.")
        return True

    def stop(self) -> None:
        """End the server; without a checkpoint when somebody is in a hurry."""
        try:
            self._postgres.stop(hurry=self._interrupts.stops > 1)
        except EmbeddedError as error:
            self._say(str(error))

    def _is_silent(self) -> bool:
        """Whether the server runs, but has not answered several probes in a row."""
        now = time.monotonic()
        if now < self._next_probe:
            return False
        self._next_probe = now + _PROBE_EVERY_S
        self._silent_probes = self._silent_probes + 1 if self._postgres.hangs() else 0
        return self._silent_probes >= _PROBES_UNTIL_RESTART
