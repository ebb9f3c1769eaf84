"""The journal's directory: its files by name, made private and opened with suspicion."""

import contextlib
import errno
import os
import re
import stat
from pathlib import Path

from audit.journal_disk import Disk, JournalUnavailable, read_whole, unavailable, write_whole
from audit.journal_format import CURSOR_BYTES, CURSOR_SLOT_OFFSETS, Cursor

_SEGMENT_NAME = re.compile(r"([0-9]{20})\.journal")
_DAMAGED_NAME = re.compile(r"([0-9]{20})\.journal\.damaged")
_CURSOR_FILE_BYTES = 2 * CURSOR_SLOT_OFFSETS[1]
_SEGMENT_READ_LIMIT_BYTES = 256 * 1024 * 1024


class JournalDirectory:
    """Names, listing, creation and checked opening of the files of one journal.

    Methods raise ``OSError`` as the disk does, and :class:`JournalUnavailable` where something
    stands in a place that only the journal should write to.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.disk = disk
        self.lock_path = path / "lock"
        self.replay_path = path / "replay"
        self.reserve_path = path / "reserve"

    def segment_path(self, number: int) -> Path:
        return self.path / f"{number:020d}.journal"

    def damaged_path(self, number: int) -> Path:
        return self.path / f"{number:020d}.journal.damaged"

    def exists(self) -> bool:
        try:
            self.disk.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def numbers(self) -> list[int]:
        """Numbers of the segments that are not set aside, ascending."""
        return self._matching(_SEGMENT_NAME)

    def damaged_numbers(self) -> list[int]:
        """Numbers of the segments that were set aside, ascending."""
        return self._matching(_DAMAGED_NAME)

    def _matching(self, pattern: re.Pattern[str]) -> list[int]:
        try:
            names = self.disk.names(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(match[1]) for name in names if (match := pattern.fullmatch(name)))

    def usage_bytes(self) -> int:
        """The sizes of all segments together, those set aside included."""
        paths = [self.segment_path(number) for number in self.numbers()]
        paths += [self.damaged_path(number) for number in self.damaged_numbers()]
        return sum(found.st_size for path in paths if (found := self.find(path)))

    def find(self, path: Path) -> os.stat_result | None:
        """What stands at ``path``; None when nothing does. Anything but a plain file raises."""
        try:
            found = self.disk.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not stat.S_ISREG(found.st_mode):
            raise JournalUnavailable(
                f"{path} is not a plain file: it was planted", "find out by whom, and remove it"
            )
        return found

    def create(self) -> None:
        """Make the directory, and those above it, durable and private; check one that is there."""
        missing = [self.path]
        while not self._is_there(missing[-1].parent):
            missing.append(missing[-1].parent)
        for path in reversed(missing):
            try:
                self.disk.mkdir(path)
            except FileExistsError:
                continue
            self.sync(path.parent)
        self._check()

    def _is_there(self, path: Path) -> bool:
        try:
            self.disk.lstat(path)
        except FileNotFoundError:
            return path.parent == path
        return True

    def _check(self) -> None:
        found = self.disk.lstat(self.path)
        if not stat.S_ISDIR(found.st_mode):
            raise JournalUnavailable(
                f"{self.path} is not a directory of its own",
                "remove what stands there, or point the journal elsewhere",
            )
        if found.st_uid != os.geteuid() and os.geteuid() != 0:
            raise unavailable(PermissionError(errno.EACCES, ""), f"{self.path} belongs to another")
        if stat.S_IMODE(found.st_mode) & 0o077:
            fd = self.disk.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self.disk.chmod(fd, 0o700)
            finally:
                self.disk.close(fd)

    def open_or_create(self, path: Path) -> int:
        """Open one of the journal's own files for reading and writing; durable when new."""
        for _ in range(2):
            if self.find(path) is not None:
                try:
                    return self.disk.open(path, os.O_RDWR)
                except FileNotFoundError:
                    continue
            self.create()
            with contextlib.suppress(FileExistsError):
                fd = self.create_file(path)
                try:
                    self.sync(self.path)
                except BaseException:
                    self.disk.close(fd)
                    raise
                return fd
        return self.disk.open(path, os.O_RDWR)

    def create_file(self, path: Path) -> int:
        """Create a file that must not be there yet; run by root, for the directory's owner."""
        fd = self.disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        if os.geteuid() == 0:
            owner = self.disk.lstat(self.path)
            if owner.st_uid != 0:
                self.disk.chown(fd, owner.st_uid, owner.st_gid)
        return fd

    def sync(self, path: Path | None = None) -> None:
        """Make the names in the directory durable."""
        fd = self.disk.open(path or self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.disk.sync(fd)
        finally:
            self.disk.close(fd)

    def read(self, path: Path, start: int = 0, count: int | None = None) -> bytes:
        """The bytes of a file from ``start`` on; raises ``FileNotFoundError`` as open does."""
        found = self.find(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        if found.st_size > _SEGMENT_READ_LIMIT_BYTES:
            raise JournalUnavailable(
                f"{path} is larger than the journal makes any file", "move it away"
            )
        fd = self.disk.open(path, os.O_RDONLY)
        try:
            size = found.st_size - start if count is None else count
            return read_whole(self.disk, fd, size, start)
        finally:
            self.disk.close(fd)

    def read_cursor(self) -> Cursor:
        """How far delivery has come; a new cursor when none is whole."""
        try:
            data = self.read(self.replay_path)
        except FileNotFoundError:
            return Cursor()
        slots = (Cursor.decode(data[at : at + CURSOR_BYTES]) for at in CURSOR_SLOT_OFFSETS)
        whole = [cursor for cursor in slots if cursor is not None]
        return max(whole, key=lambda cursor: cursor.generation, default=Cursor())

    def write_cursor(self, fd: int, cursor: Cursor) -> None:
        """Make ``cursor`` durable in the slot that does not hold the one before it."""
        slot = CURSOR_SLOT_OFFSETS[cursor.generation % 2]
        write_whole(self.disk, fd, cursor.encode(), slot)
        self.disk.sync(fd)

    def furnish(self, reserve_bytes: int) -> None:
        """Allocate ahead what must still work when the disk is full: cursor and reserve."""
        self._allocate(self.replay_path, _CURSOR_FILE_BYTES)
        if reserve_bytes:
            self._allocate(self.reserve_path, reserve_bytes)

    def _allocate(self, path: Path, size: int) -> None:
        found = self.find(path)
        if found is not None and found.st_size >= size:
            return
        fd = self.open_or_create(path)
        try:
            self.disk.allocate(fd, 0, size)
            self.disk.sync(fd)
        except OSError:
            if found is None:  # half of a reserve only takes the room away
                self.disk.unlink(path)
            raise
        finally:
            self.disk.close(fd)
