"""What hides from all other evidence cannot hide from its control group."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from executor import control_group, engine, procfs
from techno.processes import wait_until

LIMIT_S = 20.0
#: Leaves the session twice, sheds tag, mark and environment, and says who it is now. It begins a
#: moment late: what forks before its leader is in the group is for the walk to find.
HIDE = """
import ctypes, os, resource, sys, time
time.sleep(0.5)
if os.fork():
    time.sleep(float(sys.argv[2])); os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
ctypes.CDLL(None).prctl(33, 0, 0, 0, 0)
os.closerange(0, 3)
resource.setrlimit(10, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
os.rename(sys.argv[1] + ".new", sys.argv[1])
os.execve("/bin/sleep", ["sleep", "600"], {})
"""


@pytest.fixture
def grouped(marker: str) -> None:
    group = control_group.make(marker)
    if group is None:
        pytest.skip("no control groups can be made here")
    group.remove()


def _command(marker: str, pid_file: Path, seconds: float) -> engine.Command:
    argv = (sys.executable, "-c", HIDE, str(pid_file), str(seconds))
    return engine.Command(argv=argv, timeout_s=60, marker=marker, grouped=True)


def _hidden(pid_file: Path) -> int:
    assert wait_until(pid_file.exists, LIMIT_S)
    return int(pid_file.read_text())


@pytest.mark.usefixtures("grouped", "nothing_left")
def test_a_process_without_any_evidence_is_ended_with_its_run(tmp_path: Path, marker: str) -> None:
    pid_file, cancelled = tmp_path / "pid", threading.Event()
    pids: list[int] = []

    def cancel() -> None:
        pids.append(_hidden(pid_file))
        cancelled.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    result = engine.run(_command(marker, pid_file, 600), cancelled=cancelled)
    thread.join()
    assert result.outcome is engine.Outcome.CANCELLED
    assert result.survivors == ()
    stat = procfs.read_stat(pids[0])
    assert stat is None or stat.is_dead
    assert control_group.find(marker) is None


@pytest.mark.usefixtures("grouped", "nothing_left")
def test_it_is_ended_too_when_its_leader_just_ends(tmp_path: Path, marker: str) -> None:
    pid_file = tmp_path / "pid"
    result = engine.run(_command(marker, pid_file, 1))
    assert (result.outcome, result.exit_code) == (engine.Outcome.EXITED, 0)
    pid = _hidden(pid_file)
    stat = procfs.read_stat(pid)
    assert stat is None or stat.is_dead


@pytest.mark.usefixtures("grouped")
def test_a_lost_run_is_found_by_its_group(tmp_path: Path, marker: str) -> None:
    """As after the death of the watcher: the group is all that is left of the run."""
    group = control_group.make(marker)
    assert group is not None
    pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
    group.add(pid)
    assert group.members() == [pid]
    assert engine.end_marked(marker) == (pid,)
    os.waitpid(pid, 0)
    assert control_group.find(marker) is None


def test_without_a_place_for_groups_there_is_none(
    monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    monkeypatch.setattr(control_group, "_base", lambda: "")
    assert control_group.make(marker) is None
    assert control_group.find(marker) is None
    result = engine.run(engine.Command(argv=("/bin/true",), marker=marker, grouped=True))
    assert result.exit_code == 0
