"""The embedded server's life: made on first use, started, found again after a crash, stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from techno.embedded.account import Account, choose_account
from techno.embedded.errors import EmbeddedError
from techno.embedded.family import end_family, find_family, thaw
from techno.embedded.layout import (
    APP_ROLE,
    BOOTSTRAP_ROLE,
    DATABASE,
    PORT,
    Layout,
    make_private_directory,
)
from techno.embedded.locks import FileLock
from techno.embedded.query import QueryError, run_query
from techno.embedded.roles import prepare_database
from techno.processes import wait_until

_START_LIMIT_S = 900.0  # crash recovery reads at most a few GB of log: minutes on a slow disk
_INITDB_LIMIT_S = 300.0
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
                self._make_data(account)
            self._check_version()
            self._write_configuration(account)
            self._launch(account)
            self._wait_until_answering(cancelled)
            prepare_database(self.connection)
            if not self.answers():
                raise EmbeddedError(f"PostgreSQL runs but does not answer; {self._last_words()}")
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
            _say("Stopping a PostgreSQL server that an earlier process left behind.")
            end_family(self._layout, _say)
        self._reap()
        sockets = self._layout.sockets
        for stale in (
            self._layout.data / "postmaster.pid",
            sockets / f".s.PGSQL.{PORT}",
            sockets / f".s.PGSQL.{PORT}.lock",
        ):
            stale.unlink(missing_ok=True)

    def _make_data(self, account: Account) -> None:
        """Make the data directory under another name first: it is whole, or it is not there."""
        _say(f"Creating the database in {self._layout.data}.")
        unfinished = self._layout.unfinished_data
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_directory(unfinished, account.file_owner, account.file_group)
        provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        account.run(
            [
                self._layout.program("initdb"),
                f"--pgdata={unfinished}",
                f"--username={BOOTSTRAP_ROLE}",
                "--encoding=UTF8",
                "--locale=C",
                *(provider if self._layout.major > 16 else []),
                "--auth-local=peer",
                "--auth-host=reject",
                "--data-checksums",
                "--no-instructions",
            ],
            limit_s=_INITDB_LIMIT_S,
        )
        unfinished.rename(self._layout.data)

    def _check_version(self) -> None:
        try:
            version = (self._layout.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedError(
                f"{self._layout.data} is not a usable database ({error.strerror}): restore it from "
                "a backup, or move it away to begin anew."
            ) from error
        if version != str(self._layout.major):
            raise EmbeddedError(
                f"The database in {self._layout.data} was made by PostgreSQL {version}, and this "
                f"release runs PostgreSQL {self._layout.major}: dump it with the release that made "
                "it and load it into a new TECHNO_VAR_DIR, or set DATABASE_URL."
            )

    def _write_configuration(self, account: Account) -> None:
        for directory in (self._layout.sockets, self._layout.logs):
            make_private_directory(directory, account.file_owner, account.file_group)
        for path, text in self._layout.configuration_files(account.client_name).items():
            draft = path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            draft.write_text(text)
            draft.chmod(0o644)  # another account may have to read it; it holds no secret
            draft.rename(path)

    def _launch(self, account: Account) -> None:
        program = [self._layout.program("postgres"), "-D", str(self._layout.data)]
        program += ["-c", f"config_file={self._layout.configuration}"]
        with self._layout.start_log.open("wb") as output:
            self._process = account.start(
                program, death_signal=signal.SIGINT, output=output.fileno()
            )

    def _wait_until_answering(self, cancelled: Callable[[], bool]) -> None:
        begun = told = time.monotonic()
        parameters = self.connection(BOOTSTRAP_ROLE, "postgres")
        while True:
            if self.has_ended():
                raise EmbeddedError(f"PostgreSQL ended while it started; {self._last_words()}")
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
                    f"PostgreSQL did not answer in {_START_LIMIT_S:.0f} s; {self._last_words()}"
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

    def _last_words(self) -> str:
        """Return the server's last complaint, and where to read more."""
        logs = sorted(self._layout.logs.glob("*.log"), key=lambda path: path.stat().st_mtime)
        for path in (self._layout.start_log, *logs[-1:]):
            with contextlib.suppress(OSError):
                text = path.read_bytes()[-8192:].decode(errors="replace")
                bad = [line for line in text.splitlines() if "FATAL:" in line or "PANIC:" in line]
                if bad:
                    return f"it said “{bad[-1].split(': ', 1)[1].strip()}” (see {path})."
        return f"see {self._layout.start_log} and {self._layout.logs}."


def make_root(layout: Layout) -> None:
    """Make the directories above the data, or raise with what to do about it."""
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        layout.logs.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"{layout.var_dir} cannot be written ({error.strerror}): make it writable, or set "
            "TECHNO_VAR_DIR to a directory that is."
        ) from error
