"""Keeping the runs of this process alive in the eyes of others, and stopping those unwanted.

Whoever watches a run says so every few seconds in its row; a run that nobody spoke for is lost
(see ``executor.reaping``). The same thread hears that somebody wants a run to be stopped: it is
notified at once, and looks every second besides, since a notification can be lost. A run that
somebody else has declared over is stopped as well: its end is told already.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field

import psycopg
import structlog

from executor.sql import statement
from techno.database.current import connection_parameters, store
from techno.database.errors import StoreError

log = structlog.get_logger(__name__)

CHANNEL = "techno_runs"
HEARTBEAT_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 2


class Cancelled:
    """Whether a run is to be stopped. Hardly any run is, and hardly anybody waits for it.

    What a ``threading.Event`` needs for its waiters costs more than all else that watching a run
    takes; here it is made when somebody waits.
    """

    __slots__ = ("_is_set", "_woken")

    def __init__(self) -> None:
        self._is_set = False
        self._woken: threading.Event | None = None

    def is_set(self) -> bool:
        """Whether it is to be stopped."""
        return self._is_set

    def set(self) -> None:
        """Have it stopped, and wake the one who waits."""
        self._is_set = True
        if self._woken is not None:
            self._woken.set()

    def wait(self, timeout_s: float) -> None:
        """Wait until it is set, for so long at most. One thread waits: the run's."""
        if self._woken is None:
            self._woken = threading.Event()
        if not self._is_set:  # looked at after the waiter can be woken
            self._woken.wait(timeout_s)


@dataclass(slots=True)
class Watch:
    """One run of this process. ``cancelled`` is set when it is to be stopped, with who and why."""

    execution_id: str
    cancelled: Cancelled = field(default_factory=Cancelled)
    by: str = ""
    reason: str = ""

    def stop(self, by: str, reason: str) -> None:
        """Have the run stopped; the first who asks is named."""
        if not self.cancelled.is_set():
            self.by, self.reason = by, reason
            self.cancelled.set()

    @property
    def told(self) -> str:
        """Who had it stopped and why, as a sentence's beginning; empty when nobody did."""
        if not self.cancelled.is_set():
            return ""
        return f"stopped by {self.by}" + (f" ({self.reason})" if self.reason else "")


class _Watched:
    """The watch over one run, for a block."""

    __slots__ = ("_runs", "_watch")

    def __init__(self, runs: dict[str, Watch], watch: Watch) -> None:
        self._runs = runs
        self._watch = watch

    def __enter__(self) -> Watch:
        return self._watch

    def __exit__(self, *error: object) -> None:
        self._runs.pop(self._watch.execution_id, None)


class Watching:
    """The runs of this process, and the thread that speaks for them; started with the first."""

    def __init__(self) -> None:
        self._start_over()

    def _start_over(self) -> None:
        """Forget everything that belongs to another process (after a fork)."""
        self._pid = os.getpid()
        self._runs: dict[str, Watch] = {}
        self._mutex = threading.Lock()
        self._thread: threading.Thread | None = None

    def over(self, execution_id: str) -> _Watched:
        """Watch a run, from now to the end of the block."""
        if self._pid != os.getpid():
            self._start_over()
        watch = Watch(execution_id)
        self._runs[execution_id] = watch
        if self._thread is None:
            with self._mutex:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._keep, name="run-watching", daemon=True
                    )
                    self._thread.start()
        return _Watched(self._runs, watch)

    def stop_all(self, by: str, reason: str) -> None:
        """Have every run of this process stopped."""
        for watch in tuple(self._runs.values()):
            watch.stop(by, reason)

    def _keep(self) -> None:
        """Listen, look and renew for as long as the process lives."""
        renewed_s = time.monotonic()
        listening: psycopg.Connection | None = None
        while True:
            listening = self._wait(listening)
            now_s = time.monotonic()
            runs = list(self._runs)
            if not runs:
                renewed_s = now_s
                continue
            due = now_s - renewed_s >= HEARTBEAT_EVERY_S
            try:
                if due:
                    renewed_s = now_s
                    rows = store().reads.rows(statement("renew_heartbeats"), [runs, runs])
                else:
                    rows = store().reads.rows(statement("stop_wishes"), [runs])
            except StoreError as error:
                log.warning("heartbeats cannot be renewed", cause=str(error))
                continue
            for execution_id, state, by, reason in rows:
                watch = self._runs.get(execution_id)
                if watch is not None:
                    ended = state == "ended"
                    watch.stop("the reaper" if ended and not by else by, reason)

    def _wait(self, listening: psycopg.Connection | None) -> psycopg.Connection | None:
        """Wait until somebody is to be stopped, or for a second; return the connection to use."""
        try:
            if listening is None or listening.closed:
                listening = psycopg.connect(
                    **{
                        **connection_parameters(),
                        "connect_timeout": CONNECT_TIMEOUT_S,
                        "application_name": "techno-watching",
                    },
                    autocommit=True,
                )
                listening.execute(f"LISTEN {CHANNEL}")
            for _ in listening.notifies(timeout=LOOK_EVERY_S, stop_after=1):
                pass
        except psycopg.Error:
            if listening is not None:
                listening.close()
            time.sleep(LOOK_EVERY_S)
            return None
        return listening


watching = Watching()
