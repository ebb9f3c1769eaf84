"""The service under measure and its floors, started for one run on a database of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from techno.embedded import APP_ROLE, DATABASE, OWNER_ROLE, EmbeddedPostgres

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks" / "results"
ACTION = "BENCH_TRUE"
PROGRAM = "/bin/true"
_TEAM_DATABASE = "floor_team"
_ACTION_FILE = f"""
[action.{ACTION}]
description = "Ends at once; for measuring what a run costs beside the program's own time."
argv = ["{PROGRAM}"]
working_directory = "/"
"""
_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 60.0
_POLL_S = 0.1


class BenchmarkError(Exception):
    """What was to be measured could not be started; the text says what and where to look."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers on `port`; `pid` is the process above all of its processes."""

    port: int
    pid: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is running. The embedded PostgreSQL of all of them is below the service."""

    service: Server
    bare: Server
    team: Server
    readers: Server


@contextlib.contextmanager
def running(*, actions: str = "") -> Iterator[Scene]:
    """Start the service and the floors, and end and remove all of it afterwards.

    `actions` is a file of further actions to load.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    directory = RESULTS / f"run-{os.getpid()}"
    directory.mkdir(mode=0o755)
    try:
        with contextlib.ExitStack() as stack:
            yield _start(directory, stack, actions)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _start(directory: Path, stack: contextlib.ExitStack, further: str) -> Scene:
    """Start the service first: the floors use its embedded server."""
    environment = _environment(directory)
    ports = _free_ports(4)
    served = environment | {"TECHNO_PORT": str(ports[0])}
    process = stack.enter_context(
        _process("service", [sys.executable, "manage.py", "serve"], served, directory)
    )
    _wait_for(ports[0], process, directory / "service.log")
    key = manage(served, "apikey", "create", "benchmark")
    actions = directory / "actions.toml"
    actions.write_text(_ACTION_FILE + further)
    manage(served, "actions", "load", str(actions))

    embedded = EmbeddedPostgres(directory)
    owner = embedded.connection(OWNER_ROLE, "postgres")
    with psycopg.connect(**owner, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEAM_DATABASE)))
    team = environment | {"FLOOR_DATABASE": _django(embedded, OWNER_ROLE, _TEAM_DATABASE)}
    readers = environment | {"FLOOR_DATABASE": _django(embedded, APP_ROLE, DATABASE)}
    team_key = _run(team, "-m", "benchmarks.floors.team.prepare")

    def floor(name: str, port: int, given: dict[str, str], app: str, key: str = "") -> Server:
        command = [sys.executable, "-m", "gunicorn", "-c", "python:benchmarks.floors.gunicorn_conf"]
        given = given | {"FLOOR_APP": f"benchmarks.floors.{app}", "FLOOR_PORT": str(port)}
        started = stack.enter_context(_process(name, command, given, directory))
        _wait_for(port, started, directory / f"{name}.log")
        return Server(port, started.pid, key)

    return Scene(
        Server(ports[0], process.pid, key),
        floor("bare", ports[1], environment, "bare:application"),
        floor("team", ports[2], team, "team.wsgi:application", team_key),
        floor("readers", ports[3], readers, "readers:application"),
    )


def _environment(directory: Path) -> dict[str, str]:
    """Nothing of the caller's own installation: least of all its database."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TECHNO_") or name in ("TECHNO_WORKERS", "TECHNO_THREADS")
    }
    for name in ("DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE"):
        kept.pop(name, None)
    return kept | {"TECHNO_ENV_FILE": "none", "TECHNO_VAR_DIR": str(directory)}


def _django(embedded: EmbeddedPostgres, role: str, database: str) -> str:
    given = embedded.connection(role, database)
    return json.dumps(
        {"NAME": database, "USER": role, "HOST": given["host"], "PORT": str(given["port"])}
    )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


@contextlib.contextmanager
def _process(
    name: str, command: list[str], environment: dict[str, str], directory: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the block; it ends by SIGTERM, and by SIGKILL when that does not help."""
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours; we end them in order
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until somebody listens on `port`."""
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(_POLL_S)
    said = log.read_text(errors="replace").strip()[-2000:]
    raise BenchmarkError(f"{log.stem} did not start; it said:\n{said}")


def manage(environment: dict[str, str], *arguments: str) -> str:
    """Run a management command and return what it printed. Raises :class:`BenchmarkError`."""
    return _run(environment, "manage.py", *arguments)


def _run(environment: dict[str, str], *arguments: str) -> str:
    """Run a Python program of the project and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(arguments)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()
