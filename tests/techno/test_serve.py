"""`manage.py serve` from outside: real processes that are interrupted, killed and frozen."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import techno
from techno.embedded import OWNER_ROLE, EmbeddedPostgres
from techno.embedded.layout import Layout
from techno.processes import (
    Process,
    descendants,
    is_alive,
    process_table,
    read_arguments,
    read_environment_variable,
    read_process,
    wait_until,
)
from techno.web import postgres_keeper, preflight
from techno.web.interrupts import Interrupts

REPOSITORY = Path(techno.__file__).resolve().parent.parent
WAIT_S = 150.0

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """One `manage.py serve` with a state directory and a port of its own."""

    def __init__(self, var_dir: Path, **environment: str) -> None:
        self.var_dir = var_dir
        self.port = free_port()
        kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "TECHNO_ENV_FILE": "none",
            "TECHNO_VAR_DIR": str(var_dir),
            "TECHNO_PORT": str(self.port),
            **environment,
        }
        self.log = var_dir.parent / f"{var_dir.name}.{self.port}.log"
        self.key = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Served:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        before = self.said().count("Serving on")
        running = self.process
        assert wait_until(
            lambda: running.poll() is not None or self.said().count("Serving on") > before, WAIT_S
        )
        assert running.poll() is None, self.said()
        return self

    def said(self) -> str:
        return self.log.read_text()

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def child(self, marker: str) -> Process:
        """The direct child of the supervisor with `marker` in its arguments."""
        table = process_table()
        found = [
            row
            for row in table.values()
            if row.parent == self.pid and marker in " ".join(read_arguments(row.pid))
        ]
        assert len(found) == 1, found
        return found[0]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> tuple[int, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status, response.headers
        finally:
            connection.close()

    def execute(self, command: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            body = json.dumps({"command": command})
            headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
            connection.request("POST", "/api/execute", body, headers)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()

    def approves(self) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self.execute("GET_STATUS")["status"] == "APPROVED"
        return False

    def processes(self) -> list[Process]:
        """Everything that runs with this state directory, whoever its parent is."""
        name = str(self.var_dir)
        marks = (os.path.realpath(name), Layout(self.var_dir, 18).cluster_name)
        return [
            row
            for row in process_table().values()
            if not row.is_zombie
            and (
                read_environment_variable(row.pid, "TECHNO_VAR_DIR") == name
                or any(mark in part for part in read_arguments(row.pid) for mark in marks)
            )
        ]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        given = EmbeddedPostgres(self.var_dir).connection(OWNER_ROLE)
        with psycopg.connect(**given, autocommit=True) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A service that was started once and stopped by Ctrl-C, to be copied by the tests."""
    served = Served(tmp_path_factory.mktemp("prepared") / "var").start()
    try:
        found = re.search(r"API key +(techno_\S+)", served.said())
        assert found is not None, served.said()
        served.key = found[1]
        actions = served.var_dir.parent / "actions.toml"
        actions.write_text(
            '[action.SLEEP_LONG]\ndescription = "long"\nargv = ["/bin/sleep", "612.5"]\n'
            '[action.SLEEP_SHORT]\ndescription = "short"\nargv = ["/bin/sleep", "3"]\n'
        )
        served.manage("actions", "load", str(actions))
        served.signal(signal.SIGINT)
        assert served.wait() == 0
    finally:
        served.kill()
    assert served.processes() == []
    return served


@pytest.fixture
def copied(prepared: Served, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Copies of the prepared service, each under a name of its own."""
    made: list[Served] = []

    def copy(name: str = "var", **environment: str) -> Served:
        target = tmp_path / name
        shutil.copytree(prepared.var_dir, target, symlinks=True)
        served = Served(target, **environment)
        served.key = prepared.key
        made.append(served)
        return served

    yield copy
    left = []
    for served in made:
        served.kill()
        wait_until(lambda served=served: not served.processes(), WAIT_S)  # type: ignore[misc]
        left += served.processes()
        for process in served.processes():
            os.kill(process.pid, signal.SIGKILL)
    assert left == []


def run_of(served: Served, action: str) -> tuple[threading.Thread, list[dict[str, Any]]]:
    """Execute `action` in a thread, and return once its process runs."""
    answers: list[dict[str, Any]] = []

    def execute() -> None:
        with suppress(OSError, http.client.HTTPException, ValueError):
            answers.append(served.execute(action))

    thread = threading.Thread(target=execute)
    thread.start()
    assert wait_until(lambda: sleepers(served) != [], WAIT_S)
    return thread, answers


def sleepers(served: Served) -> list[Process]:
    table = process_table()
    return [
        row
        for row in descendants(served.pid, table)
        if not row.is_zombie and read_arguments(row.pid)[:1] == ["/bin/sleep"]
    ]


def refused(served: Served) -> str:
    """Start a service that cannot start, and return the one line that it says."""
    done = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=REPOSITORY,
        env=served.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert served.processes() == []
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


# -- starting and stopping -----------------------------------------------------------------------


def test_the_first_start_shows_login_and_key_once(
    prepared: Served, copied: Callable[..., Served]
) -> None:
    assert "Password" in prepared.said()
    served = copied().start()

    assert "Password" not in served.said()
    assert served.key not in served.said()
    assert served.approves()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(copied: Callable[..., Served], number: signal.Signals) -> None:
    served = copied().start()
    everything = served.processes()
    assert len(everything) > 5

    served.signal(number)

    assert served.wait() == 0
    assert [process for process in everything if is_alive(process)] == []
    assert served.processes() == []
    assert not (served.var_dir / "postgres" / "data" / "postmaster.pid").exists()


def test_a_request_in_progress_is_finished_before_the_end(copied: Callable[..., Served]) -> None:
    served = copied().start()
    thread, answers = run_of(served, "SLEEP_SHORT")

    served.signal(signal.SIGTERM)

    assert served.wait() == 0
    thread.join(WAIT_S)
    assert [answer["status"] for answer in answers] == ["APPROVED"]


def test_a_second_signal_does_not_wait_for_requests(copied: Callable[..., Served]) -> None:
    served = copied().start()
    thread, _ = run_of(served, "SLEEP_LONG")
    running = sleepers(served)

    served.signal(signal.SIGINT)
    assert wait_until(lambda: "Stopping" in served.said(), WAIT_S)
    served.signal(signal.SIGINT)

    assert served.wait() == 0
    assert [process for process in running if is_alive(process)] == []
    thread.join(WAIT_S)


def test_two_services_run_side_by_side(copied: Callable[..., Served]) -> None:
    one, other = copied("one").start(), copied("other").start()

    assert one.approves()
    assert other.approves()
    one.signal(signal.SIGINT)
    assert one.wait() == 0
    assert other.approves()


@pytest.mark.parametrize("name", ["z" * 150, "a b'c\"d"])
def test_any_state_directory_will_do(copied: Callable[..., Served], name: str) -> None:
    served = copied(name).start()
    assert served.approves()
    served.signal(signal.SIGINT)
    assert served.wait() == 0
    shutil.rmtree(Path(str(EmbeddedPostgres(served.var_dir).connection()["host"])))


def test_a_database_of_ones_own_is_used_instead(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "database").running():
        host = EmbeddedPostgres(tmp_path / "database").connection()["host"]
        served = Served(
            tmp_path / "var",
            DATABASE_URL=f"postgresql://techno_app@/techno?host={host}",
            TECHNO_MIGRATION_DATABASE_URL=f"postgresql://techno_owner@/techno?host={host}",
        )
        try:
            served.start()
            assert served.get("/health")[0] == 200
            assert not (served.var_dir / "postgres").exists()
            served.signal(signal.SIGINT)
            assert served.wait() == 0
        finally:
            served.kill()
    assert served.processes() == []


def test_answers_do_not_name_the_server(copied: Callable[..., Served]) -> None:
    status, headers = copied().start().get("/health")
    assert status == 200
    assert "Server" not in headers


# -- refusing to start ---------------------------------------------------------------------------


def test_a_taken_port_is_one_sentence_before_anything_starts(tmp_path: Path) -> None:
    served = Served(tmp_path / "var")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", served.port))
        taken.listen()
        said = refused(served)

    assert said.splitlines() == [
        f"Error: Port {served.port} on 127.0.0.1 is taken by another program: end it, or set "
        "TECHNO_PORT to a free port."
    ]
    assert not (served.var_dir / "postgres").exists()


def test_an_address_of_another_machine_is_one_sentence(tmp_path: Path) -> None:
    said = refused(Served(tmp_path / "var", TECHNO_HOST="192.0.2.7"))
    assert said == "Error: TECHNO_HOST 192.0.2.7 is no address of this machine."


def test_a_state_directory_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")
    said = refused(Served(tmp_path / "var"))
    assert len(said.splitlines()) == 1
    assert said.startswith("Error: ")
    assert "TECHNO_VAR_DIR" in said


def test_one_state_directory_serves_once(copied: Callable[..., Served]) -> None:
    served = copied().start()
    second = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=REPOSITORY,
        env=served.environment | {"TECHNO_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )

    assert second.returncode == 1
    assert f"already serves from {served.var_dir} (process {served.pid})" in second.stderr
    assert served.approves()


def test_a_database_of_a_newer_release_is_refused(copied: Callable[..., Served]) -> None:
    served = copied()
    with EmbeddedPostgres(served.var_dir).running():
        served.query(
            "INSERT INTO django_migrations (app, name, applied) "
            "VALUES ('audit', '9999_of_the_future', now()) RETURNING id"
        )

    said = refused(served)

    assert "made by a newer release (it knows audit.9999_of_the_future)" in said


def test_a_silent_external_database_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "DATABASE_WAIT_S", 0.5)
    address = {"host": "127.0.0.1", "port": free_port(), "user": "x", "password": "secret"}

    with pytest.raises(preflight.PreflightError, match="does not answer") as raised:
        preflight.wait_for_database(address)
    assert "secret" not in str(raised.value)


# -- losing parts --------------------------------------------------------------------------------


def test_the_next_start_works_after_the_supervisor_was_killed(
    copied: Callable[..., Served],
) -> None:
    served = copied().start()
    before = served.processes()

    served.kill()
    served.start()

    assert served.approves()
    assert [process for process in before if is_alive(process)] == []


def test_the_next_start_works_after_everything_was_killed(copied: Callable[..., Served]) -> None:
    served = copied().start()
    for process in served.processes():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    served.wait()

    assert served.start().approves()


def test_parts_end_by_themselves_when_the_supervisor_is_killed(
    copied: Callable[..., Served],
) -> None:
    served = copied().start()
    served.kill()
    assert wait_until(lambda: served.processes() == [], WAIT_S)


def test_frozen_parts_of_a_killed_supervisor_do_not_block_the_next(
    copied: Callable[..., Served],
) -> None:
    served = copied().start()
    for process in served.processes():
        if process.pid != served.pid:
            os.kill(process.pid, signal.SIGSTOP)
    served.kill()

    assert served.start().approves()


def test_a_killed_database_comes_back(copied: Callable[..., Served]) -> None:
    served = copied().start()
    database = served.child("/postgres -D ")

    os.kill(database.pid, signal.SIGKILL)

    assert wait_until(lambda: not is_alive(database), WAIT_S)
    assert wait_until(served.approves, WAIT_S)
    assert served.child("/postgres -D ").pid != database.pid


def test_a_killed_web_server_comes_back(copied: Callable[..., Served]) -> None:
    served = copied().start()
    web = served.child("gunicorn")
    workers = descendants(web.pid, process_table())

    os.kill(web.pid, signal.SIGKILL)

    assert wait_until(lambda: not any(is_alive(worker) for worker in workers), WAIT_S)
    assert wait_until(served.approves, WAIT_S)


def test_a_killed_worker_leaves_no_command_and_no_open_run(copied: Callable[..., Served]) -> None:
    served = copied().start()
    thread, _ = run_of(served, "SLEEP_LONG")
    (sleeper,) = sleepers(served)
    worker = read_process(sleeper.parent)
    assert worker is not None
    assert worker.parent == served.child("gunicorn").pid

    os.kill(worker.pid, signal.SIGKILL)

    assert wait_until(lambda: not is_alive(sleeper), WAIT_S)
    statement = "SELECT status, reason_codes FROM command_runs WHERE action = 'SLEEP_LONG'"
    assert wait_until(
        lambda: served.query(statement) == [("BLOCKED", ["E9_interrupted"])], WAIT_S
    ), served.query(statement)
    assert served.approves()
    thread.join(WAIT_S)


def test_a_frozen_database_does_not_prevent_the_end(copied: Callable[..., Served]) -> None:
    served = copied().start()
    os.kill(served.child("/postgres -D ").pid, signal.SIGSTOP)

    served.signal(signal.SIGINT)

    assert served.wait() == 0
    assert served.processes() == []


def test_a_frozen_database_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_keeper, "_PROBE_EVERY_S", 0.0)
    said: list[str] = []
    postgres = EmbeddedPostgres(tmp_path / "var")
    with Interrupts() as interrupts:
        keeper = postgres_keeper.PostgresKeeper(postgres, interrupts, said.append)
        keeper.start()
        try:
            assert not keeper.look_after()
            (pid,) = keeper.pids
            os.kill(pid, signal.SIGSTOP)
            assert wait_until(keeper.look_after, WAIT_S)
            assert keeper.pids != {pid}
            assert postgres.answers()
        finally:
            keeper.stop()
    assert said == ["PostgreSQL does not answer; starting it again.", "PostgreSQL answers again."]
