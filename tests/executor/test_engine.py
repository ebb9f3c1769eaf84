"""One run from outside: its result, its bounds, its environment."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from executor import engine
from executor.engine import Command, Outcome, Result, run
from tests.executor.processes import Programs, is_alive

pytestmark = pytest.mark.usefixtures("nothing_left")


def echo(*arguments: str, **options: object) -> Result:
    return run(Command(("/bin/echo", *arguments), **options))  # type: ignore[arg-type]


def test_a_program_that_succeeds() -> None:
    before = time.time()
    result = echo("hello", "world")
    assert result.outcome is Outcome.EXITED
    assert (result.exit_code, result.signal) == (0, None)
    assert (result.stdout, result.stderr) == ("hello world\n", "")
    assert (result.stdout_bytes, result.stderr_bytes, result.truncated) == (12, 0, False)
    assert before <= result.started_at <= time.time()
    assert result.duration_ms >= 0
    assert result.pid is not None
    assert (result.detail, result.survivors) == ("", ())


def test_a_program_that_fails(programs: Programs) -> None:
    result = run(programs.shell("echo out; echo err >&2; exit 7"))
    assert (result.outcome, result.exit_code, result.signal) == (Outcome.EXITED, 7, None)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_a_program_ended_by_a_signal_has_no_exit_code(programs: Programs) -> None:
    result = run(programs.shell("kill -SEGV $$"))
    assert (result.outcome, result.exit_code, result.signal) == (
        Outcome.EXITED,
        None,
        signal.SIGSEGV,
    )


def test_arguments_are_passed_as_they_are_and_no_shell_reads_them() -> None:
    hostile = ["$(id)", "`id`", "a b", "'", '"', "\n", "*", "; id", "-n", "\u202e", "é", ""]
    command = Command(("/usr/bin/printf", "%s\\0", *hostile))
    assert run(command).stdout.split("\0")[:-1] == hostile


def test_there_is_no_input() -> None:
    assert run(Command(("/bin/cat",))).stdout == ""


def test_the_environment_is_minimal(monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-tell")
    monkeypatch.setenv("LD_PRELOAD", "")
    result = run(Command(("/usr/bin/env",), marker=marker, env={"COLOUR": "blue", "LANG": "C"}))
    entries = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert "do-not-tell" not in result.stdout
    assert entries.keys() == {"PATH", "LANG", "HOME", "COLOUR", "TECHNO_EXECUTION_ID"}
    assert entries["TECHNO_EXECUTION_ID"] == marker
    assert entries["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert (entries["COLOUR"], entries["LANG"]) == ("blue", "C")


def test_an_action_cannot_choose_its_own_marker(marker: str) -> None:
    command = Command(("/usr/bin/env",), marker=marker, env={"TECHNO_EXECUTION_ID": "forged"})
    assert f"TECHNO_EXECUTION_ID={marker}\n" in run(command).stdout
    assert "forged" not in run(command).stdout


def test_descriptors_of_ours_are_closed(programs: Programs) -> None:
    leaked = os.dup2(2, 77, inheritable=True)
    try:
        result = run(programs.python("print(*os.listdir('/proc/self/fd'))"))
    finally:
        os.close(leaked)
    assert set(result.stdout.split()) <= {"0", "1", "2", "3"}  # 3 is the listing itself


def test_it_leads_a_session_and_signals_are_as_from_new(programs: Programs) -> None:
    script = """
        print(os.getsid(0) == os.getpgid(0) == os.getpid())
        print(open("/proc/self/status").read())
    """
    was = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        lines = run(programs.python(script)).stdout.splitlines()
    finally:
        signal.signal(signal.SIGUSR1, was)
    assert lines[0] == "True"
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    assert int(status["SigBlk"], 16) == 0
    # Python itself ignores SIGPIPE (13) and SIGXFSZ (25) once it runs.
    assert int(status["SigIgn"], 16) & ~(1 << 12 | 1 << 24) == 0


def test_the_working_directory(tmp_path: Path) -> None:
    assert run(Command(("/bin/pwd",))).stdout == "/\n"
    assert run(Command(("/bin/pwd",), cwd=str(tmp_path))).stdout == f"{tmp_path}\n"


def test_time_runs_out(programs: Programs) -> None:
    result = run(programs.shell("echo begun; exec sleep 60", timeout_s=0.2))
    assert (result.outcome, result.exit_code, result.signal) == (
        Outcome.TIMED_OUT,
        None,
        signal.SIGTERM,
    )
    assert result.stdout == "begun\n"
    assert result.detail.startswith("ran past its 0.200 s; ended 1 processes, 0 of them by KILL")
    assert result.survivors == ()


@pytest.mark.parametrize("options", [{"timeout_s": 60.0}, {"timeout_s": float("inf")}])
def test_the_earlier_of_timeout_and_deadline_holds(options: dict[str, float]) -> None:
    command = Command(("/bin/sleep", "60"), **options)  # type: ignore[arg-type]
    assert run(command, deadline=time.monotonic() + 0.1).outcome is Outcome.TIMED_OUT
    short = Command(("/bin/sleep", "60"), timeout_s=0.1)
    assert run(short, deadline=time.monotonic() + 60).outcome is Outcome.TIMED_OUT


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_without_time_nothing_starts(timeout_s: float, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    result = run(Command(("/usr/bin/touch", str(trace)), timeout_s=timeout_s))
    assert (result.outcome, result.pid) == (Outcome.TIMED_OUT, None)
    assert not trace.exists()


def test_cancelled_while_it_runs(programs: Programs) -> None:
    cancelled = threading.Event()

    def on_output(stream: str, data: bytes) -> None:
        cancelled.set()

    command = programs.shell("echo begun; exec sleep 60", timeout_s=60)
    result = run(command, cancelled=cancelled, on_output=on_output)
    assert (result.outcome, result.signal) == (Outcome.CANCELLED, signal.SIGTERM)
    assert result.stdout == "begun\n"
    assert result.detail.startswith("stopped on request; ended 1 processes")


def test_cancelled_before_it_starts(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    cancelled = threading.Event()
    cancelled.set()
    result = run(Command(("/usr/bin/touch", str(trace))), cancelled=cancelled)
    assert (result.outcome, result.pid) == (Outcome.CANCELLED, None)
    assert not trace.exists()


def test_output_is_handed_on_while_it_comes(programs: Programs) -> None:
    heard: list[tuple[str, bytes]] = []
    command = programs.shell("printf abc; printf '\\377' >&2; printf defghi", output_limit_bytes=5)
    result = run(command, on_output=lambda stream, data: heard.append((stream, data)))
    assert b"".join(data for stream, data in heard if stream == "stdout") == b"abcde"
    assert b"".join(data for stream, data in heard if stream == "stderr") == b"\xff"
    assert (result.stdout, result.stderr, result.truncated) == ("abcde", "\ufffd", True)


def test_a_failing_listener_loses_nothing_but_itself(programs: Programs) -> None:
    calls: list[bytes] = []

    def on_output(stream: str, data: bytes) -> None:
        calls.append(data)
        raise RuntimeError("full")

    result = run(programs.shell("echo one; sleep 0.1; echo two"), on_output=on_output)
    assert (result.outcome, result.exit_code) == (Outcome.EXITED, 0)
    assert result.stdout == "one\ntwo\n"
    assert len(calls) == 1
    assert "RuntimeError('full')" in result.detail


def test_an_exception_from_outside_passes_and_leaves_no_process(programs: Programs) -> None:
    def interrupt(stream: str, data: bytes) -> None:
        raise KeyboardInterrupt

    command = programs.shell("trap '' TERM; touch $PIDS/$$; echo x; sleep 60; sleep 60")
    with pytest.raises(KeyboardInterrupt):
        run(command, on_output=interrupt)
    assert programs.enrolled() != []
    assert programs.alive() == []


def test_nothing_runs_where_its_end_could_not_be_learned(tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    was = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        result = run(Command(("/usr/bin/touch", str(trace))))
    finally:
        signal.signal(signal.SIGCHLD, was)
    assert result.outcome is Outcome.SPAWN_FAILED
    assert "SIGCHLD" in result.detail
    assert not trace.exists()


def test_only_the_exit_code_is_lost_when_other_code_reaps_the_leader(programs: Programs) -> None:
    def steal(stream: str, data: bytes) -> None:
        os.waitpid(int(data), 0)

    result = run(programs.shell("sleep 60 & touch $PIDS/$!; echo $$; exit 3"), on_output=steal)
    assert (result.outcome, result.exit_code, result.signal) == (Outcome.EXITED, None, None)
    assert programs.enrolled() != []
    assert programs.alive() == []


def test_sixteen_threads_at_once(programs: Programs) -> None:
    def one(number: int) -> None:
        command = Command(
            ("/bin/sh", "-c", f"sleep 30 & echo {number}; echo $! >&2; exit {number % 200}")
        )
        result = run(command)
        assert (result.outcome, result.exit_code) == (Outcome.EXITED, number % 200)
        assert result.stdout == f"{number}\n"
        assert not is_alive(int(result.stderr))

    with ThreadPoolExecutor(16) as pool:
        for done in [pool.submit(one, number) for number in range(320)]:
            done.result()


def test_the_surface_is_what_callers_were_promised() -> None:
    assert set(engine.__all__) == {
        "Command",
        "Outcome",
        "Result",
        "end_marked",
        "run",
        "unstarted",
    }
    assert [outcome.name for outcome in Outcome] == [
        "EXITED",
        "TIMED_OUT",
        "SPAWN_FAILED",
        "CANCELLED",
    ]
