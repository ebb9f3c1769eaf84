"""What a killed service left running is found by the run's marker, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from executor.engine import Command, end_marked, run
from tests.executor.processes import Programs, is_alive, wait_until

pytestmark = pytest.mark.usefixtures("nothing_left")

# The leader; a child in its session; one in another, which ignores TERM; a daemon without
# environment, which only the tag still shows.
LONG_RUN = """
    touch $PIDS/$$
    sleep 60 &
    touch $PIDS/$!
    setsid sh -c 'trap "" TERM; touch $PIDS/$$; while :; do sleep 60; done' &
    sleep 0.2
    DIRECTORY=$PIDS env -i setsid -f sh -c 'touch '$PIDS'/$$; exec sleep 60'
    sleep 60
"""


def lose_a_run(command: Command) -> None:
    """Let another process run it, and kill that process while it does."""
    script = f"""
        from executor.engine import Command, run
        run(Command({command.argv!r}, env={dict(command.env)!r}, marker={command.marker!r}))
    """
    service = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    try:
        directory = command.env["PIDS"]
        wait_until(lambda: len(os.listdir(directory)) == 4)
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()


def test_all_of_a_lost_run_is_ended(programs: Programs, marker: str) -> None:
    lose_a_run(programs.shell(LONG_RUN))
    lost = programs.alive()
    assert len(lost) == 4
    ended = end_marked(marker)
    assert set(ended) >= set(lost)
    assert programs.alive() == []
    assert end_marked(marker) == ()


@pytest.mark.parametrize("other", ["", "x", "\0", "\ud800", "test_"])
def test_other_markers_match_nothing(other: str, marker: str) -> None:
    bystander = os.posix_spawn(
        "/bin/sleep", ["sleep", "60"], {"TECHNO_EXECUTION_ID": f"{marker}-longer", "OTHER": marker}
    )
    try:
        assert end_marked(other) == ()
        assert end_marked(marker) == ()
        assert is_alive(bystander)
    finally:
        os.kill(bystander, signal.SIGKILL)
        os.waitpid(bystander, 0)


def test_the_run_one_is_part_of_is_not_ended(programs: Programs, marker: str) -> None:
    script = f"""
        sys.path.insert(0, {os.getcwd()!r})
        from executor.engine import end_marked
        print(end_marked({marker!r}))
    """
    result = run(programs.python(script))
    assert (result.exit_code, result.stdout) == (0, "()\n")
