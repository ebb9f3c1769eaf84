"""Keeps the services running beside their database, and ends all of it in order.

One process, one thread, one loop. It starts children, restarts those that die, ends orphans, and
at the end stops stage by stage, with a limit to every wait and SIGKILL behind every limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from techno.launch import launch_command
from techno.processes import descendants, process_table, read_process
from techno.web.errand import Errand
from techno.web.interrupts import Interrupts
from techno.web.orphans import Orphanage, kill_tree
from techno.web.postgres_keeper import PostgresKeeper, backoff_s

_TICK_S = 5.0
_BUSY_TICK_S = 0.2
_HURRY_LIMIT_S = 3.0
_LAST_LIMIT_S = 10.0
_ERRAND_GRACE_S = 10.0
_STABLE_AFTER_S = 60.0


class StoppedError(Exception):
    """Somebody asked for the end while something was being waited for."""


@dataclass(frozen=True, slots=True)
class Service:
    """A program that shall always run. Lower stages are stopped first."""

    name: str
    command: tuple[str, ...]
    stage: int
    grace_s: float


@dataclass(slots=True)
class _Child:
    """A service and the process that runs it now."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    not_before: float = 0.0


class Supervisor:
    """Runs `services` and, where given, the embedded database, until a signal asks for the end."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        interrupts: Interrupts,
        say: Callable[[str], None],
        environment: Mapping[str, str],
        directory: Path,
        mark: str,
        after_loss: tuple[str, ...],
        keeper: PostgresKeeper | None = None,
    ) -> None:
        """Prepare; nothing is started.

        `after_loss` is the management command to run when a worker was lost. `mark` tells parts
        of the services from everything else (see `techno.web.orphans`).
        """
        self._children = [_Child(service) for service in services]
        self._interrupts = interrupts
        self._say = say
        self._environment = dict(environment)
        self._directory = directory
        self._orphanage = Orphanage(mark)
        self._keeper = keeper
        self._errand = Errand(lambda: self._spawn(self._manage(after_loss), {}))
        self._step: subprocess.Popen[bytes] | None = None

    # -- before the services -------------------------------------------------------------------

    def start_postgres(self) -> None:
        """Start the embedded database, if it is ours; raise `EmbeddedError` or `StoppedError`."""
        try:
            if self._keeper is not None:
                self._keeper.start()
        finally:
            self.raise_if_stopped()

    def run_step(self, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
        """Run a management command to its end and return its exit code."""
        self._step = self._spawn(self._manage(arguments), environment or {})
        try:
            while self._step.poll() is None:
                self.raise_if_stopped()
                self._interrupts.wait(_BUSY_TICK_S)
            return self._step.returncode
        finally:
            self._end_process(self._step, _ERRAND_GRACE_S)
            self._step = None

    def raise_if_stopped(self) -> None:
        """Raise `StoppedError` once somebody has asked for the end."""
        if self._interrupts.stop_requested:
            raise StoppedError

    # -- while the services run ----------------------------------------------------------------

    def start_services(self, is_ready: Callable[[], bool]) -> bool:
        """Start all services and wait until `is_ready()`; return False when one ends before."""
        for child in self._children:
            self._start(child)
        while not is_ready():
            self.raise_if_stopped()
            if any(
                child.process is None or child.process.poll() is not None
                for child in self._children
            ):
                return False
            self._interrupts.wait(_BUSY_TICK_S)
        return True

    def run(self) -> None:
        """Supervise until a signal asks for the end."""
        while not self._interrupts.stop_requested:
            self._interrupts.wait(self._next_look_s())
            if self._interrupts.stop_requested:
                return
            if self._keeper is not None and self._keeper.look_after():
                self._errand.request()
            if self._orphanage.sweep(self._own_pids()) or self._interrupts.worker_lost:
                self._interrupts.worker_lost = False
                self._errand.request()
            for child in self._children:
                self._look_after(child)
            self._errand.look_after()

    def stop(self) -> bool:
        """End everything, stage by stage; return whether really nothing is left."""
        stages = sorted({child.service.stage for child in self._children})
        for stage in stages:
            self._stop_stage([child for child in self._children if child.service.stage == stage])
        if self._errand.process is not None:
            self._end_process(self._errand.process, _ERRAND_GRACE_S)
        if self._keeper is not None:
            self._keeper.stop()
        return self._end_all_below()

    # -- parts of the loop ---------------------------------------------------------------------

    def _look_after(self, child: _Child) -> None:
        process = child.process
        if process is not None:
            if process.poll() is None:
                return
            self._errand.request()
            child.process = None
            if time.monotonic() - child.started_at > _STABLE_AFTER_S:
                child.failures = 0
            pause_s = backoff_s(child.failures)
            child.failures += 1
            child.not_before = time.monotonic() + pause_s
            self._say(
                f"{child.service.name} ended ({_reason(process.returncode)}); starting it again"
                + (f" in {pause_s:.0f} s." if pause_s else ".")
            )
        # The old master's workers hold the port until they are gone.
        if time.monotonic() >= child.not_before and not self._orphanage.has_remnants(
            self._own_pids()
        ):
            self._start(child)

    def _next_look_s(self) -> float:
        restless = (
            self._errand.is_pending
            or self._interrupts.worker_lost
            or any(child.process is None for child in self._children)
            or (self._keeper is not None and self._keeper.is_needed)
        )
        return _BUSY_TICK_S if restless else _TICK_S

    # -- processes -----------------------------------------------------------------------------

    def _start(self, child: _Child) -> None:
        child.started_at = time.monotonic()
        try:
            child.process = self._spawn(child.service.command, {})
        except OSError as error:  # no memory or no process left: not for ever, one may hope
            child.failures += 1
            child.not_before = child.started_at + backoff_s(child.failures)
            self._say(f"{child.service.name} cannot be started ({error.strerror}).")

    def _spawn(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own, so that the terminal's Ctrl-C is ours alone."""
        return subprocess.Popen(
            launch_command(command, death_signal=signal.SIGTERM, directory=self._directory),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=self._environment | dict(environment),
        )

    def _manage(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, str(self._directory / "manage.py"), *arguments]

    def _own_pids(self) -> set[int]:
        processes = [child.process for child in self._children]
        processes += [self._errand.process, self._step]
        pids = {process.pid for process in processes if process is not None}
        return pids | (self._keeper.pids if self._keeper is not None else set())

    # -- the end -------------------------------------------------------------------------------

    def _stop_stage(self, children: Sequence[_Child]) -> None:
        running = {
            child.process: child.service
            for child in children
            if child.process is not None and child.process.poll() is None
        }
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + max((it.grace_s for it in running.values()), default=0)
        hurried = False
        while any(process.poll() is None for process in running):
            if self._interrupts.stops > 1 and not hurried:
                hurried = True
                deadline = min(deadline, time.monotonic() + _HURRY_LIMIT_S)
                for process in running:
                    process.send_signal(signal.SIGQUIT)
            if time.monotonic() >= deadline:
                break
            self._interrupts.wait(_BUSY_TICK_S)
        for process in running:
            self._end_process(process, 0)
        for child in children:
            child.process = None

    def _end_process(self, process: subprocess.Popen[bytes], grace_s: float) -> None:
        """End one child and all below it, after asking it and waiting `grace_s`."""
        if process.poll() is not None:
            return
        if grace_s:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(grace_s)
                return
            except subprocess.TimeoutExpired:
                pass
        row = read_process(process.pid)
        if row is not None:
            kill_tree(row, process_table())
        process.wait()

    def _end_all_below(self) -> bool:
        deadline = time.monotonic() + _LAST_LIMIT_S
        while descendants(os.getpid(), process_table()):
            self._orphanage.sweep(())
            if time.monotonic() >= deadline:
                return False
            self._interrupts.wait(_BUSY_TICK_S)
        return True


def _reason(return_code: int) -> str:
    if return_code < 0:
        return f"signal {-return_code}, {signal.strsignal(-return_code)}"
    return f"exit code {return_code}"
