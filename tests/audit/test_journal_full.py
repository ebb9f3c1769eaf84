"""The journal on a disk without room."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.journal import Journal, JournalUnavailable

RESERVE_BYTES = 256 * 1024
RECORD = b"x" * 956
FRAME_BYTES = 1000
APPENDS = 40


def mount(*command: str | Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    run = subprocess.run(["mount", *command], capture_output=True)
    if run.returncode:
        pytest.skip(f"cannot mount here: {run.stderr.decode()}")


@pytest.fixture(params=["tmpfs", "ext4"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of a few MiB."""
    point = tmp_path / "disk"
    point.mkdir()
    if request.param == "tmpfs":
        mount("-t", "tmpfs", "-o", "size=4m", "none", point)
    else:
        if not shutil.which("mkfs.ext4"):
            pytest.skip("mkfs.ext4 is not installed")
        image = tmp_path / "image"
        with image.open("wb") as file:
            file.truncate(8 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
        mount("-o", "loop", image, point)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def fill_disk(path: Path) -> None:
    """Take all room that is left."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            while True:
                try:
                    if file.write(b"f" * size) < size:
                        break
                except OSError:
                    break
        os.fsync(file.fileno())


def append_until_refused(journal: Journal) -> tuple[int, JournalUnavailable]:
    count = 0
    while True:
        try:
            journal.append(RECORD)
        except JournalUnavailable as refused:
            return count, refused
        count += 1


def test_the_reserve_takes_the_last_records_of_a_full_disk(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal", reserve_bytes=RESERVE_BYTES, segment_bytes=65536)
    journal.append(RECORD)
    filler = small_disk / "filler"
    fill_disk(filler)
    kept, refused = append_until_refused(journal)
    assert kept >= RESERVE_BYTES // FRAME_BYTES - 1
    assert "No space left" in refused.cause
    assert "free space" in refused.next_step
    assert not journal.pending().has_reserve
    assert journal.pending().records == kept + 1

    got: list[bytes] = []
    replayed = Journal(small_disk / "journal").replay(got.extend)
    assert got == [RECORD] * (kept + 1)
    assert replayed.damaged == 0
    journal.append(RECORD)

    filler.unlink()
    journal.replay(got.extend)
    assert len(got) == kept + 2
    journal.append(RECORD)
    assert journal.pending().has_reserve
    journal.close()


def test_a_disk_that_is_full_from_the_start(small_disk: Path) -> None:
    filler = small_disk / "filler"
    fill_disk(filler)
    journal = Journal(small_disk / "journal", reserve_bytes=RESERVE_BYTES)
    for _ in range(3):
        with pytest.raises(JournalUnavailable, match="No space left"):
            journal.append(RECORD)
    filler.unlink()
    journal.append(RECORD)
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert (got, replayed.damaged) == ([RECORD], 0)
    journal.close()


@pytest.mark.slow
def test_a_disk_that_fills_with_the_journal_alone(small_disk: Path) -> None:
    journal = Journal(
        small_disk / "journal",
        cap_bytes=1 << 30,
        reserve_bytes=RESERVE_BYTES,
        segment_bytes=300_000,
    )
    kept, refused = append_until_refused(journal)
    assert "No space left" in refused.cause
    got: list[bytes] = []
    replayed = journal.replay(got.extend)
    assert (len(got), replayed.damaged) == (kept, 0)
    journal.append(RECORD)
    journal.close()


@pytest.mark.parametrize("limit", [64, 150, 1000, 30_000])
def test_a_file_size_limit(tmp_path: Path, limit: int) -> None:
    """The limit falls into the state, the header, the first record, or a later one."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            journal = Journal(tmp_path / "journal")
            refusals = []
            for _ in range(APPENDS):
                try:
                    journal.append(RECORD)
                except JournalUnavailable as refused:
                    refusals.append(refused.cause)
            assert all("File too large" in cause for cause in refusals)
            os.write(writing, b"%d" % (APPENDS - len(refusals)))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    assert text.isdigit()
    assert (int(text) == APPENDS) == (limit == 30_000)
    got: list[bytes] = []
    replayed = Journal(tmp_path / "journal").replay(got.extend)
    assert (len(got), replayed.damaged) == (int(text), 0)
