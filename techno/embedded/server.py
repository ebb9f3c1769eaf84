"""The embedded server's life: made on first use, started, found again after a crash, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from techno.embedded.account import Account, choose_account
from techno.embedded.cluster import (
    check_version,
    last_words,
    log_sizes,
    make_data,
    make_root,
    write_configuration,
)
from techno.embedded.errors import EmbeddedError
from techno.embedded.family import end_family, find_family, thaw
from techno.embedded.layout import (
    APP_ROLE,
    BOOTSTRAP_ROLE,
    DATABASE,
    PORT,
    Layout,
)
from techno.embedded.locks import FileLock
from techno.embedded.query import QueryError, QueryTimeoutError, run_query
from techno.embedded.roles import prepare_database
from techno.processes import wait_until

_START_LIMIT_S = 900.0  # crash recovery reads at most a few GB of log: minutes on a slow disk
_PROBE_LIMIT_S = 5.0
_LOCK_LIMIT_S = 60.0
_PROGRESS_EVERY_S = 5.0
_POLL_S = 0.1


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


class EmbeddedPostgres:
    """The PostgreSQL server whose state is under `var_dir`.

    One process at a time starts it and stops it: the one that holds `server.lock`. Start it from
    the main thread: the server is told to end when the thread that started it ends.
    """

    def __init__(self, var_dir: Path, *, major: int = 18) -> None:
        self._layout = Layout(Path(os.path.realpath(var_dir)), major)
        self._process: subprocess.Popen[bytes] | None = None
        self._logged: dict[Path, int] = {}
        self._lock = FileLock(self._layout.root / "server.lock")
        self._users = FileLock(self._layout.root / "users.lock")

    def connection(self, role: str = APP_ROLE, database: str = DATABASE) -> dict[str, str | int]:
        """Return libpq's parameters for `role`; the server need not run to know them."""
        return {
            "host": str(self._layout.sockets),
            "port": PORT,
            "user": role,
            "dbname": database,
        }

    def answers(self, *, timeout_s: float = _PROBE_LIMIT_S) -> bool:
        """Whether the server answers a statement of the application's role within `timeout_s`."""
        try:
            return run_query(self.connection(), "SELECT 1", timeout_s=timeout_s) == [("1",)]
        except QueryError:
            return False

    def hangs(self, *, timeout_s: float = _PROBE_LIMIT_S) -> bool:
        """Whether the server takes connections and says nothing; a refusal is an answer."""
        try:
            run_query(self.connection(), "SELECT 1", timeout_s=timeout_s)
        except QueryTimeoutError:
            return True
        except QueryError:
            return False
        return False

    @property
    def pid(self) -> int | None:
        """The process id of the server that this object started, None when there is none."""
        return None if self._process is None else self._process.pid

    def has_ended(self) -> bool:
        """Whether the server that this object started is gone (and reaped now)."""
        return self._process is None or self._process.poll() is not None

    def start(self, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Make sure that the server runs as our child and answers; without effect when it does.

        Waits for crash recovery as long as it takes, telling so on stderr. A server that was left
        behind by a killed process is stopped first. Raises `EmbeddedError`, also as soon as
        `cancelled()` says that nobody wants the server any more.
        """
        if not self.has_ended() and self.answers():
            return
        make_root(self._layout)
        self._wait_for_lock(cancelled)
        try:
            account = choose_account(self._layout)
            self._clear_the_way()
            if not self._layout.data.exists():
                make_data(self._layout, account, _say)
            check_version(self._layout)
            write_configuration(self._layout, account)
            self._launch(account)
            self._wait_until_answering(cancelled)
            prepare_database(self.connection)
            if not self.answers():
                raise EmbeddedError(
                    f"PostgreSQL runs but does not answer; {last_words(self._layout, self._logged)}"
                )
        except OSError as error:
            self._end(hurry=True)
            raise EmbeddedError(f"PostgreSQL cannot be started: {error}.") from error
        except BaseException:
            self._end(hurry=True)
            raise

    def stop(self, *, hurry: bool = False) -> None:
        """End the server that this object started and verify that nothing of it runs.

        `hurry` saves the last checkpoint, at the price of a recovery at the next start.
        """
        if self._lock.is_held:
            self._end(hurry=hurry)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have the server for a while: the one that runs already, else one of our own.

        A server of our own is stopped at the end, after waiting for others that use it.
        """
        make_root(self._layout)
        if self._join_or_own():
            try:
                yield
            finally:
                self._users.release()
            return
        try:
            self.start()
            yield
        finally:
            try:
                self._wait_for_users()
            finally:
                self.stop()
                self._users.release()

    def _join_or_own(self) -> bool:
        """Return True when a server of somebody else answers, False when we may start one."""
        deadline = time.monotonic() + _START_LIMIT_S
        told = False
        while True:
            if self._users.acquire(shared=True):
                if self.answers(timeout_s=1 if told else _PROBE_LIMIT_S):
                    return True
                self._users.release()
            if self._lock.acquire():
                return False
            if not told:
                _say(f"Waiting for PostgreSQL, which {self._lock.holder()} starts or stops.")
                told = True
            if time.monotonic() >= deadline:
                raise EmbeddedError(
                    f"PostgreSQL of {self._lock.holder()} does not answer: end it and try again."
                )
            time.sleep(_POLL_S)

    def _wait_for_users(self) -> None:
        if self._lock.is_held and not self._users.acquire():
            _say("Other commands still use the database that this one started; waiting for them.")
            while not self._users.acquire():
                time.sleep(_POLL_S)

    def _wait_for_lock(self, cancelled: Callable[[], bool]) -> None:
        if self._lock.acquire():
            return
        _say(f"Waiting for {self._lock.holder()}, which uses the database.")
        wait_until(lambda: cancelled() or self._lock.acquire(), _LOCK_LIMIT_S)
        if not self._lock.is_held:
            raise EmbeddedError(
                f"The database in {self._layout.data} is used by {self._lock.holder()}: "
                "end it and try again."
            )

    def _clear_the_way(self) -> None:
        """End what a killed process left behind, and remove what would look like a server."""
        if find_family(self._layout):
            _say("Stopping a PostgreSQL server that was left behind or does not answer.")
            end_family(self._layout, _say)
        self._reap()
        sockets = self._layout.sockets
        for stale in (
            self._layout.data / "postmaster.pid",
            sockets / f".s.PGSQL.{PORT}",
            sockets / f".s.PGSQL.{PORT}.lock",
        ):
            stale.unlink(missing_ok=True)

    def _launch(self, account: Account) -> None:
        program = [self._layout.program("postgres"), "-D", str(self._layout.data)]
        program += ["-c", f"config_file={self._layout.configuration}"]
        self._logged = log_sizes(self._layout)
        with self._layout.start_log.open("wb") as output:
            self._process = account.start(
                program, death_signal=signal.SIGINT, output=output.fileno()
            )

    def _wait_until_answering(self, cancelled: Callable[[], bool]) -> None:
        begun = told = time.monotonic()
        parameters = self.connection(BOOTSTRAP_ROLE, "postgres")
        while True:
            if self.has_ended():
                raise EmbeddedError(
                    f"PostgreSQL ended while it started; {last_words(self._layout, self._logged)}"
                )
            try:
                run_query(parameters, "SELECT 1", timeout_s=_PROBE_LIMIT_S)
                return
            except QueryError as error:
                reason = str(error)
            now = time.monotonic()
            if cancelled():
                raise EmbeddedError("Stopped while PostgreSQL was starting.")
            if now - begun > _START_LIMIT_S:
                raise EmbeddedError(
                    f"PostgreSQL did not answer in {_START_LIMIT_S:.0f} s; "
                    f"{last_words(self._layout, self._logged)}"
                )
            if now - told > _PROGRESS_EVERY_S:
                told = now
                thaw(self._layout)
                _say(f"Waiting for PostgreSQL ({now - begun:.0f} s): {reason.splitlines()[-1]}")
            time.sleep(_POLL_S)

    def _end(self, *, hurry: bool) -> None:
        try:
            if self._process is not None:
                end_family(self._layout, _say, hurry=hurry)
                self._reap()
        finally:
            self._lock.release()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
