"""kill -9, failing calls and short writes at every single system call of the journal."""

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audit.journal import Journal, JournalUnavailable
from tests.audit.journal_faults import MEMORY, Fault, FaultyDisk, at_call, fail, kill_at, segments
from tests.audit.journal_scenario import (
    SIZES,
    Told,
    check_after,
    live,
    number_of,
    record,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def quick() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


def run_and_die(directory: Path, fault: Fault) -> tuple[Told, int]:
    """Live in a child of our own until the fault kills it: what it told, and how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            live(directory, FaultyDisk(fault), lambda *said: _tell(writing, *said))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    return Told(text), os.waitpid(child, 0)[1]


def write_down(said: list[str], what: str, number: int) -> None:
    said.append(f"{what} {number}\n")


def _tell(fd: int, what: str, number: int) -> None:
    os.write(fd, b"%s %d\n" % (what.encode(), number))


def count_calls(directory: Path) -> int:
    disk = FaultyDisk()
    live(directory, disk, lambda *said: None)
    shutil.rmtree(directory)
    return disk.count


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True], ids=["before", "within"])
def test_kill_at_every_call(quick: Path, half: bool) -> None:
    directory = quick / "journal"
    calls = count_calls(directory)
    assert calls > 200
    for number in range(1, calls + 1):
        told, status = run_and_die(directory, kill_at(number, half=half))
        assert status == signal.SIGKILL, number
        check_after(directory, told)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
def test_kill_again_during_recovery(quick: Path) -> None:
    """Every third call of the first life, and then again and again further into the next."""
    directory = quick / "journal"
    calls = count_calls(directory)
    for number in range(5, calls, 59):
        for again in range(1, 60, 4):
            told, _ = run_and_die(directory, kill_at(number, half=True))
            more, status = run_and_die(directory, kill_at(again, half=True))
            assert status == signal.SIGKILL
            check_twice(directory, told, more)
            shutil.rmtree(directory)


def check_twice(directory: Path, told: Told, more: Told) -> None:
    """Both lives used the same numbers, so count: each acknowledged record must turn up."""
    journal = Journal(directory, **SIZES)
    got: list[int] = []
    replayed = journal.replay(lambda payloads: got.extend(map(number_of, payloads)))
    assert replayed.damaged == 0
    here = Counter(told.delivered + more.delivered + got)
    assert Counter(told.acknowledged + more.acknowledged) - here == Counter()


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("persistent", [False, True], ids=["once", "from then on"])
def test_an_error_at_every_call(quick: Path, error: int, persistent: bool) -> None:
    directory = quick / "journal"
    calls = count_calls(directory)
    for number in range(1, calls + 1):
        said: list[str] = []
        fault = fail(error, first=number, last=None if persistent else number)
        live(directory, FaultyDisk(fault), partial(write_down, said))
        check_after(directory, Told("".join(said).encode()))
        shutil.rmtree(directory)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failed_fsync_is_never_tried_again_on_that_descriptor(quick: Path, error: int) -> None:
    """Whichever fsync it is that fails."""
    syncs = failed_once = 0
    while failed_once == syncs:
        syncs += 1
        opened: dict[int, int] = {}
        turns = {"sync": 0}
        bad: list[int] = []

        def fault(
            count: int,
            name: str,
            real: Callable[[], Any],
            arguments: tuple[Any, ...],
            *,
            opened: dict[int, int] = opened,
            turns: dict[str, int] = turns,
            bad: list[int] = bad,
            which: int = syncs,
        ) -> Any:
            if name == "open":
                fd = real()
                opened[fd] = count
                return fd
            if name == "sync":
                assert opened[arguments[0]] not in bad
                turns["sync"] += 1
                if turns["sync"] == which:
                    bad.append(opened[arguments[0]])
                    raise OSError(error, os.strerror(error))
            return real()

        said: list[str] = []
        live(quick / "journal", FaultyDisk(fault), partial(write_down, said))
        failed_once += len(bad)
        check_after(quick / "journal", Told("".join(said).encode()))
        shutil.rmtree(quick / "journal")
    assert failed_once > 20


def test_a_record_whose_fsync_failed_goes_to_a_new_segment(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(tmp_path / "journal", disk=disk)
    journal.append(b"one")

    def broken() -> None:
        raise OSError(errno.EIO, "broken")

    disk.fault = at_call("sync", broken)
    journal.append(b"two")
    journal.append(b"three")
    assert len(segments(tmp_path / "journal")) == 2
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert got == [b"one", b"two", b"three"]
    assert (replayed.torn, replayed.damaged) == (1, 0)


def test_while_every_write_fails_every_append_is_refused(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = Journal(tmp_path / "journal", disk=disk)
    journal.append(b"before")
    disk.fault = fail(errno.EIO, first=1)
    for _ in range(3):
        with pytest.raises(JournalUnavailable, match=r"Input/output error.*kernel's log"):
            journal.append(b"refused")
    disk.fault = None
    journal.append(b"after")
    got: list[bytes] = []
    journal.replay(got.extend)
    assert [each for each in got if each != b"refused"] == [b"before", b"after"]


# Those that change something; a kill before one that only looks is a kill before the next of these.
SYSCALLS = ("openat", "pwrite64", "fallocate", "fsync", "flock", "mkdir", "rename", "unlink")


def strace(directory: Path, log: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run the scenario as a program of its own under strace."""
    names = ",".join(f"?{name}" for name in SYSCALLS)
    return subprocess.run(
        [
            *("strace", "-f", "-y", "-o", log, "-e", f"trace={names}", *options),
            *(sys.executable, "-B", "-I", "-c", _PROGRAM, ROOT, directory),
        ],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "PYTHONHASHSEED": "0"},
        timeout=60,
    )


_PROGRAM = """import sys; sys.path.insert(0, sys.argv.pop(1))
from tests.audit.journal_scenario import main; main()"""


def injections(directory: Path, log: Path) -> dict[str, list[int]]:
    """For each system call, at which of its turns it is made on the journal's files."""
    counts: Counter[str] = Counter()
    turns: dict[str, list[int]] = defaultdict(list)
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"[0-9]+ +(\w+)\(", line)
        if match:
            counts[match[1]] += 1
            if str(directory) in line:
                turns[match[1]].append(counts[match[1]])
    return turns


Traced = tuple[Path, Path, dict[str, list[int]]]


@pytest.fixture
def traced(quick: Path) -> Traced:
    directory, log = quick / "journal", quick / "log"
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    run = strace(directory, log)
    if run.returncode or not run.stdout:
        pytest.skip(f"strace cannot trace here: {run.stderr[-200:]!r}")
    found = injections(directory, log)
    shutil.rmtree(directory)
    assert set(found) == set(SYSCALLS)
    return directory, log, found


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSCALLS)
def test_kill_at_every_system_call(traced: Traced, name: str) -> None:
    directory, log, calls = traced
    for number in calls[name]:
        run = strace(directory, log, "-e", f"inject={name}:signal=KILL:when={number}")
        assert run.returncode == -signal.SIGKILL, (number, run.stderr)
        check_after(directory, Told(run.stdout))
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "error"),
    [*((name, "EIO") for name in SYSCALLS), ("pwrite64", "ENOSPC"), ("fsync", "ENOSPC")],
)
def test_an_error_at_every_system_call(traced: Traced, name: str, error: str) -> None:
    directory, log, calls = traced
    for number in calls[name]:
        run = strace(directory, log, "-e", f"inject={name}:error={error}:when={number}")
        assert run.returncode == 0, (number, run.stderr)
        check_after(directory, Told(run.stdout))
        shutil.rmtree(directory)


def test_the_scenario_itself(tmp_path: Path) -> None:
    said: list[str] = []
    live(tmp_path / "journal", None, partial(write_down, said))
    told = Told("".join(said).encode())
    assert told.acknowledged == list(range(13))
    assert told.delivered == list(range(12))
    with contextlib.suppress(JournalUnavailable):
        Journal(tmp_path / "journal", **SIZES).append(record(13))
    check_after(tmp_path / "journal", told)
