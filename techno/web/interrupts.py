"""Signals as facts to look at: handlers only count and wake, the main loop decides."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType, TracebackType
from typing import Self

_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# A web server's master sends this when one of its workers is gone.
WORKER_LOST = signal.SIGUSR1
SUPERVISOR_VARIABLE = "TECHNO_SUPERVISOR_PID"


class Interrupts:
    """Catches the supervisor's signals while entered, in the main thread."""

    def __init__(self) -> None:
        self.stops = 0
        self.worker_lost = False

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._earlier_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        wanted = (*_STOPS, WORKER_LOST, signal.SIGCHLD)
        self._earlier = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._earlier_fd)
        os.close(self._reader)
        os.close(self._writer)

    @property
    def stop_requested(self) -> bool:
        """Whether we were asked to stop; each further request means: faster."""
        return self.stops > 0

    def wait(self, limit_s: float) -> None:
        """Return at the next signal, after `limit_s` seconds at the latest."""
        ready, _, _ = select.select([self._reader], [], [], max(limit_s, 0))
        if ready:
            os.read(self._reader, 4096)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOPS:
            self.stops += 1
        elif number == WORKER_LOST:
            self.worker_lost = True
