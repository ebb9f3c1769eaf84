"""A lock with a deadline, held on a file of the journal."""

import contextlib
import errno
import fcntl
import os
import random
import time
import weakref
from pathlib import Path

from audit.journal_directory import JournalDirectory
from audit.journal_disk import identity

_POLL_MIN_S = 0.0001
_POLL_MAX_S = 0.002


class LockBusy(Exception):
    """Somebody else held the lock until the deadline."""


class FileLock:
    """An exclusive lock on a named file across processes, and the open file itself.

    The lock belongs to the open file, so two of these exclude each other within one process
    too. A child made by fork lets go of its copy at once: otherwise the lock of an owner that
    was killed would be held on by a child that knows nothing of it.
    """

    def __init__(self, directory: JournalDirectory, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._read_only = read_only
        self._directory = directory
        self._disk = directory.disk
        self._fd: int | None = None
        self._identity: tuple[int, int] | None = None
        _LOCKS.add(self)

    @property
    def fd(self) -> int:
        """The descriptor of the locked file."""
        if self._fd is None:
            raise RuntimeError(f"{self.path.name} is not locked")
        return self._fd

    def acquire(self, deadline: float) -> None:
        """Take the lock before ``deadline`` (``time.monotonic``), else raise :class:`LockBusy`.

        The file and its directory are created when missing, unless for reading only. A file that
        was removed or replaced excludes nobody: see :meth:`in_place`.
        """
        if self._fd is None:
            self._fd = self._open()
            self._identity = identity(self._disk.fstat(self._fd))
        try:
            self._poll(self._fd, deadline)
        except LockBusy:
            if not self.in_place():
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def exists(self) -> bool:
        """True when there is a file to lock."""
        return self._directory.find(self.path) is not None

    def in_place(self) -> bool:
        """True while the name still leads to the file that is held."""
        try:
            return identity(self._disk.lstat(self.path)) == self._identity
        except (FileNotFoundError, NotADirectoryError):
            return False

    def release(self) -> None:
        """Let others have it; the file stays open."""
        if self._fd is not None:
            try:
                self._disk.flock(self._fd, fcntl.LOCK_UN)
            except OSError:
                self.close()

    def close(self) -> None:
        """Close the file, which releases the lock as well."""
        fd, self._fd = self._fd, None
        if fd is not None:
            with contextlib.suppress(OSError):  # Linux has closed it whatever it says
                self._disk.close(fd)

    def forget(self) -> None:
        """In a child made by fork: drop the copy without releasing the parent's lock."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _open(self) -> int:
        if self._read_only:
            return self._disk.open(self.path, os.O_RDONLY)
        return self._directory.open_or_create(self.path)

    def _poll(self, fd: int, deadline: float) -> None:
        pause_s = _POLL_MIN_S
        while True:
            try:
                return self._disk.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EINTR):
                    raise
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise LockBusy(self.path.name)
            time.sleep(min(left_s, pause_s * random.uniform(0.5, 1)))  # noqa: S311 — jitter
            pause_s = min(2 * pause_s, _POLL_MAX_S)


_LOCKS: "weakref.WeakSet[FileLock]" = weakref.WeakSet()


def _forget_locks() -> None:
    for lock in list(_LOCKS):
        lock.forget()


os.register_at_fork(after_in_child=_forget_locks)
