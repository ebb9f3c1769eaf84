"""Orphans come to this process; they are reaped, and forked copies start from nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from executor import procfs
from executor.engine import run
from executor.subreaper import read_tag, tag_of
from tests.executor.processes import Programs, wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_orphans_are_reaped_while_a_run_goes_on(
    programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a long run with many short daemons fills the process table with zombies."""
    monkeypatch.setattr("executor.engine._ORPHAN_LOOK_S", 0.05)
    script = """
        for number in $(seq 40); do setsid -f sh -c 'touch $PIDS/$$'; done
        exec sleep 60
    """
    cancelled = threading.Event()
    going_on = threading.Thread(
        target=run, args=(programs.shell(script, timeout_s=60),), kwargs={"cancelled": cancelled}
    )
    going_on.start()
    try:
        wait_until(lambda: len(programs.enrolled()) == 40)
        wait_until(lambda: not any(map(procfs.read_stat, programs.enrolled())))
        assert going_on.is_alive()
    finally:
        cancelled.set()
        going_on.join()


def test_daemons_of_others_are_adopted_only_while_a_run_goes_on(programs: Programs) -> None:
    assert run(programs.shell("true")).exit_code == 0
    starter = programs.shell("sleep 60 >/dev/null & touch $PIDS/$!")
    os.waitpid(os.posix_spawn("/bin/sh", starter.argv, {**starter.env, "PATH": "/bin"}), 0)
    (daemon,) = programs.enrolled()
    try:
        stat = procfs.read_stat(daemon)
        assert stat is not None
        assert stat.ppid != os.getpid()
    finally:
        os.kill(daemon, 9)


def test_a_tag_outlives_environment_session_and_parent(programs: Programs, marker: str) -> None:
    script = """
        time.sleep(0.2)  # the tag has landed
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve("/bin/cat", ["cat", "/proc/self/limits"], {})
            os._exit(0)
        os.wait()
        time.sleep(0.2)
    """
    tag = tag_of(marker)
    assert str(tag) in run(programs.python(script)).stdout
    assert tag != tag_of(marker + "x")
    assert read_tag(os.getpid()) != tag


def test_within_a_run_the_outer_tag_stays(programs: Programs, marker: str) -> None:
    script = f"""
        sys.path.insert(0, {os.getcwd()!r})
        time.sleep(0.2)  # the tag has landed
        from executor.engine import Command, run
        print(run(Command(("/bin/sh", "-c", "sleep 0.2; cat /proc/self/limits"))).stdout)
    """
    assert str(tag_of(marker)) in run(programs.python(script)).stdout


def test_children_are_listed_alike_with_and_without_the_kernels_help() -> None:
    children = [os.posix_spawn("/bin/sleep", ["sleep", "60"], {}) for _ in range(3)]
    try:
        listed = procfs.list_children(os.getpid())
        assert set(children) <= set(listed)
        assert sorted(procfs.scan_children(os.getpid())) == sorted(listed)
    finally:
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def test_what_is_gone_is_answered_and_not_raised() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    assert procfs.read_stat(pid) is None
    assert procfs.list_children(pid) == []
    assert procfs.read_environment_value(pid, "PATH") is None
    assert read_tag(pid) is None


def test_a_name_with_parentheses_and_spaces(tmp_path: object) -> None:
    program = f"{tmp_path}/a) R 1 (b"
    os.symlink("/bin/sleep", program)
    pid = os.posix_spawn(program, ["sleep", "60"], {})
    try:
        stat = procfs.read_stat(pid)
        assert stat is not None
        assert (stat.name, stat.ppid) == ("a) R 1 (b", os.getpid())
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_a_forked_copy_runs_commands_of_its_own() -> None:
    """As gunicorn's workers do, when the parent has run something before the fork."""
    script = """
        import os
        from executor.engine import Command, run
        command = Command(("/bin/sh", "-c", "setsid -f sleep 60; echo $$"))
        first = run(command)
        pid = os.fork()
        result = run(command)
        assert result.exit_code == 0, result
        assert "ended 1 processes that it left behind" in result.detail, result
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
