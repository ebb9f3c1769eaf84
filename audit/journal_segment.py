"""Starting a segment, and opening one again."""

import contextlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from audit.journal_directory import JournalDirectory
from audit.journal_disk import identity, write_whole
from audit.journal_format import HEADER_BYTES, SALT_BYTES, SegmentHeader, State

GROWTH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """The newest segment, open for writing."""

    number: int
    salt: bytes
    path: Path
    fd: int
    identity: tuple[int, int]


def open_segment(directory: JournalDirectory, state: State) -> Head:
    """Open the segment that ``state`` describes."""
    path = directory.segment_path(state.number)
    fd = directory.disk.open(path, os.O_RDWR)
    return Head(state.number, state.salt, path, fd, identity(directory.disk.fstat(fd)))


def create_segment(
    directory: JournalDirectory, before: State, limit: int, *, from_reserve: bool
) -> tuple[Head, State]:
    """Make the segment that follows ``before``: durable, named, empty, at most ``limit`` bytes.

    On the reserve it stands on blocks that were allocated long before, so that a full disk has
    nothing to refuse.
    """
    number = _next_number(directory, before)
    header = SegmentHeader(
        number=number,
        first_sequence=before.sequence + 1,
        created_us=time.time_ns() // 1000,
        salt=secrets.token_bytes(SALT_BYTES),
        previous_number=before.number if before.end else 0,
        previous_end=before.end,
        previous_salt=before.salt,
        previous_settled=before.settled,
    )
    path = directory.segment_path(number)
    if from_reserve:
        fd = directory.disk.open(directory.reserve_path, os.O_RDWR)
    else:
        fd = directory.create_file(path)
    try:
        if not from_reserve:
            with contextlib.suppress(OSError):
                directory.disk.allocate(fd, 0, min(GROWTH_BYTES, limit))
        write_whole(directory.disk, fd, header.encode(), 0)
        directory.disk.sync(fd)
        if from_reserve:
            directory.disk.rename(directory.reserve_path, path)
        directory.sync()
        found = directory.disk.fstat(fd)
    except BaseException:
        directory.disk.close(fd)
        with contextlib.suppress(OSError):
            directory.disk.unlink(path)
        raise
    head = Head(number, header.salt, path, fd, identity(found))
    end = HEADER_BYTES
    return head, State(number, header.salt, end, end, found.st_size, before.sequence, limit)


def _next_number(directory: JournalDirectory, before: State) -> int:
    """A number that was never used: replay takes lower ones than its cursor's for delivered."""
    numbers = directory.numbers() + directory.damaged_numbers()
    return 1 + max([before.number, directory.read_cursor().segment - 1, *numbers])
