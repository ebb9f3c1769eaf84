"""How the journal meets the disk: the system calls, what their failures mean, the file lock.

Everything the journal does to the disk goes through a :class:`Disk`, one method for one system
call. It has no logic of its own; it exists so that tests can make any single call fail, fall
short or be the last one.
"""

import errno
import fcntl
import os
from pathlib import Path

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FILE_MODE = 0o600


class JournalUnavailable(Exception):
    """The journal could not take or give records; nothing was acknowledged.

    A record refused so may still turn up at replay when its write failed late (as any write
    whose outcome is unknown): whoever asked for it must not count on either.
    """

    def __init__(self, cause: str, next_step: str) -> None:
        super().__init__(cause, next_step)
        self.cause = cause
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.cause}; {self.next_step}"


_NEXT_STEPS = {
    errno.ENOSPC: "free space on its file system",
    errno.EDQUOT: "raise the disk quota of the service's user",
    errno.EACCES: "let the service's user own the journal directory",
    errno.EPERM: "let the service's user own the journal directory",
    errno.EROFS: "mount its file system read-write",
    errno.EIO: "the disk reports errors: check the kernel's log and replace it",
    errno.EFBIG: "raise the file size limit of the service",
    errno.EMFILE: "raise the open files limit of the service",
    errno.ENFILE: "raise the system's limit of open files",
    errno.ELOOP: "a symbolic link stands where the journal keeps a file: remove it",
}


def unavailable(error: OSError, doing: str) -> JournalUnavailable:
    """What a failed system call means to whoever runs this."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    step = _NEXT_STEPS.get(error.errno or 0, "check the journal directory and the kernel's log")
    return JournalUnavailable(f"{doing}: {reason}", step)


class Disk:
    """The system calls of the journal; each raises ``OSError`` as the kernel says."""

    def open(self, path: Path, flags: int) -> int:
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(path, flags, _FILE_MODE)

    def close(self, fd: int) -> None:
        os.close(fd)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        return os.pread(fd, count, offset)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def allocate(self, fd: int, offset: int, count: int) -> None:
        os.posix_fallocate(fd, offset, count)

    def sync(self, fd: int) -> None:
        os.fsync(fd)

    def flock(self, fd: int, operation: int) -> None:
        fcntl.flock(fd, operation)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def lstat(self, path: Path) -> os.stat_result:
        return os.lstat(path)

    def chown(self, fd: int, user: int, group: int) -> None:
        os.fchown(fd, user, group)

    def chmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def mkdir(self, path: Path) -> None:
        path.mkdir(0o700)

    def names(self, path: Path) -> list[str]:
        return os.listdir(path)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def unlink(self, path: Path) -> None:
        path.unlink()


def write_whole(disk: Disk, fd: int, data: bytes, offset: int) -> None:
    """Write all of ``data``, however little the kernel takes at a time."""
    rest = memoryview(data)
    while rest:
        written = disk.pwrite(fd, rest, offset)
        if written <= 0:
            raise OSError(errno.EIO, "the kernel took nothing of a write")
        rest = rest[written:]
        offset += written


def read_whole(disk: Disk, fd: int, count: int, offset: int = 0) -> bytes:
    """Read ``count`` bytes, fewer only where the file ends."""
    parts = []
    while count > 0 and (part := disk.pread(fd, count, offset)):
        parts.append(part)
        offset += len(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def identity(found: os.stat_result) -> tuple[int, int]:
    """What tells one file from another for as long as somebody holds it open."""
    return found.st_dev, found.st_ino
