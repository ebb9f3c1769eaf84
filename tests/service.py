"""The real service, started as ``make run`` starts it, for tests that look at it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import psycopg

from techno.embedded import APP_ROLE, OWNER_ROLE, EmbeddedPostgres
from techno.embedded.family import find_family
from techno.embedded.layout import Layout
from techno.launch import launch_command
from techno.processes import (
    Process,
    descendants,
    is_alive,
    process_table,
    read_arguments,
    read_environment_variable,
    wait_until,
    wait_until_ended,
)
from tests import databases, isolation

START_LIMIT_S = 120.0
STOP_LIMIT_S = 60.0
CLIENT_TIMEOUT_S = 30.0
_TAKEN = "is taken by another program"
_STARTS_MOST = 5


class Service:
    """One running ``manage.py serve`` with its own state directory, port and database.

    ``key`` is the first key (all scopes), empty when the environment brought one;
    ``known_secrets`` are further ones, for ``tests.leaks``. Use it as a
    context manager: at the end it is stopped, and must leave nothing running.
    """

    def __init__(
        self,
        directory: Path,
        *,
        embedded: bool,
        postgres: EmbeddedPostgres | None = None,
        **environ: str,
    ) -> None:
        self.directory = directory
        self.var_dir = directory / "var"
        self.database = ""
        self.host = "127.0.0.1"
        self.port = 0
        self._given = environ
        self.known_secrets: list[str] = []
        self._postgres = postgres or EmbeddedPostgres(self.var_dir)
        if postgres is not None:
            for variable, role in (
                ("DATABASE_URL", APP_ROLE),
                ("TECHNO_MIGRATION_DATABASE_URL", OWNER_ROLE),
            ):
                given = postgres.connection(role)
                socket_directory = quote(str(given["host"]), safe="")
                self._given[variable] = (
                    f"postgres://{role}@{socket_directory}:{given['port']}/{given['dbname']}"
                )
        elif embedded or not isolation.EXTERNAL_URL:
            databases.copy_embedded(self.var_dir)
        else:
            self.database = f"{isolation.OWN_DATABASE}_{directory.name.replace('-', '_')}"
            databases.copy_external(self.database)
        self._log = directory / "serve.log"
        self._owner: psycopg.Connection[tuple[Any, ...]] | None = None
        self.start()

    # -- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it (again): on a new port the first time, on the same one later."""
        for _ in range(_STARTS_MOST):
            self.port = self.port or _free_port()
            self._begun_at = self._log.stat().st_size if self._log.exists() else 0
            command = [sys.executable, str(isolation.REPOSITORY / "manage.py"), "serve"]
            with self._log.open("ab") as output:
                self.process = subprocess.Popen(
                    launch_command(command, death_signal=signal.SIGTERM),
                    env=self.environment,
                    cwd=isolation.REPOSITORY,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            wait_until(
                lambda: "Serving on" in self.output or self.process.poll() is not None,
                START_LIMIT_S,
            )
            if "Serving on" in self.output:
                found = re.search(r"API key +(\S+)", self.full_output)
                self.key = found.group(1) if found else self._given.get("TECHNO_API_KEY", "")
                return
            if _TAKEN not in self.output:
                break
            self.port = 0
        raise AssertionError(f"the service did not start:\n{self.output}")

    def stop(self) -> None:
        """End it as an operator would, and make sure that nothing of it is left."""
        table = process_table()
        family = [table[self.process.pid]] if self.process.pid in table else []
        family += descendants(self.process.pid, table)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_LIMIT_S)
        assert self.process.returncode == 0, self.output
        assert wait_until_ended(family, 5.0), "processes are left"

    def kill(self) -> None:
        """End all its processes at once, with no time for anything, its commands left alone."""
        family = [self.process.pid, *(row.pid for row in self._services())]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.process.wait(STOP_LIMIT_S)

    def _services(self) -> list[Process]:
        """Its own processes below the supervisor: web server and database, but no command."""
        table = process_table()
        return [
            row
            for row in descendants(self.process.pid, table)
            if read_environment_variable(row.pid, "TECHNO_EXECUTION_ID") is None
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        told = [] if error is not None else self._told_secrets()
        self.end()
        assert told == [], "a test made the service tell a secret"

    def _told_secrets(self) -> list[str]:
        """Return where a secret stands that may not; what cannot be asked is left out."""
        from tests import leaks

        if self.process.poll() is not None:
            return leaks.left_behind(self)
        try:
            return leaks.leaks(self)
        except psycopg.Error:  # the test took its database away
            return leaks.left_behind(self)

    def end(self) -> None:
        """Stop it unless it has ended, and drop its database where it is on another's server."""
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            if self._owner is not None:
                self._owner.close()
            if self.database:
                databases.drop_external(self.database)
                self.database = ""

    # -- what it is ----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment that it and its commands run in."""
        return (
            isolation.service_environment(self.var_dir, self.database)
            | {"TECHNO_HOST": self.host, "TECHNO_PORT": str(self.port)}
            | self._given
        )

    @property
    def full_output(self) -> str:
        """All that it printed since its first start."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def output(self) -> str:
        """All that it printed since its last start."""
        return self._log.read_bytes()[self._begun_at :].decode(errors="replace")

    def web_workers(self) -> list[Process]:
        """The gunicorn workers, without their master."""
        table = process_table()
        below = descendants(self.process.pid, table)
        web = {row.pid for row in below if "gunicorn" in " ".join(read_arguments(row.pid))}
        return [row for row in below if row.pid in web and row.parent in web and is_alive(row)]

    def postgres_processes(self) -> list[Process]:
        """The processes of its embedded server, the postmaster first."""
        return find_family(Layout(Path(os.path.realpath(self.var_dir)), 18))

    # -- ways in -------------------------------------------------------------------------------

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """Return a client that sends the first key, ``key``, or none for ``""``."""
        chosen = self.key if key is None else key
        given = {"X-API-Key": chosen, **headers} if chosen else headers
        return httpx.Client(base_url=self.url, headers=given, timeout=CLIENT_TIMEOUT_S)

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command beside it."""
        return databases.manage(self.environment, *arguments, check=check)

    def manage_with(
        self, variables: dict[str, str], *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command with further variables, which may fail."""
        return databases.manage(self.environment | variables, *arguments, check=False)

    def issue_key(self, *arguments: str, label: str = "test") -> str:
        """Issue a key with ``manage.py apikey create`` and return its text."""
        key = self.manage("apikey", "create", label, *arguments).stdout.strip()
        self.known_secrets.append(key)
        return key

    def add_action(self, name: str, argv: Sequence[str], **fields: object) -> None:
        """Register an action as an operator would, from a file."""
        lines = [f"[action.{name}]", f"argv = {json.dumps(list(argv))}"]
        lines += [f"{field} = {json.dumps(value)}" for field, value in fields.items()]
        path = self.directory / f"action-{secrets.token_hex(4)}.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.manage("actions", "load", str(path))

    def connect(self, role: str = OWNER_ROLE) -> psycopg.Connection[tuple[Any, ...]]:
        """Connect to its database as the owner (or ``role`` of an embedded one)."""
        if self.database:
            url = isolation.with_database(isolation.EXTERNAL_OWNER_URL, self.database)
            return psycopg.connect(url, autocommit=True)
        parameters: dict[str, Any] = self._postgres.connection(role)
        return psycopg.connect(**parameters, autocommit=True)

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query as the owner; none for a statement without a result."""
        if self._owner is None or self._owner.closed:
            self._owner = self.connect()
        try:
            cursor = self._owner.execute(query, parameters or None)  # type: ignore[arg-type]
        except psycopg.OperationalError:  # the server was restarted since
            self._owner.close()
            self._owner = self.connect()
            cursor = self._owner.execute(query, parameters or None)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


class Services:
    """Starts services and ends whatever a test left running."""

    def __init__(self) -> None:
        self._started: list[Service] = []

    def __call__(
        self,
        *,
        embedded: bool = False,
        postgres: EmbeddedPostgres | None = None,
        **environ: str,
    ) -> Service:
        """Start a service with these variables besides; use it as a context manager.

        ``embedded`` asks for an embedded database even where ``DATABASE_URL`` is set;
        ``postgres`` is a running server that the service shall use and not look after.
        """
        directory = isolation.OWN_DIRECTORY / f"s{len(self._started)}-{secrets.token_hex(2)}"
        directory.mkdir(mode=0o711)
        service = Service(directory, embedded=embedded, postgres=postgres, **environ)
        self._started.append(service)
        return service

    def end(self) -> None:
        """End all that still run."""
        with contextlib.ExitStack() as stack:
            for service in self._started:
                stack.callback(service.end)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
