"""System calls that never wait, made without giving the interpreter lock away.

Python gives its lock back around most system calls. Where several threads run, each such moment
is a hand-over: another thread takes the lock, and the one that only wanted to close a descriptor
waits for its turn again. A run needs a dozen of these calls, and the hand-overs cost more
processor time than the calls. Those that can wait (starting a program, polling) do not belong
here: they would stop all threads.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import threading

CHUNK_BYTES = 65_536

_libc = ctypes.PyDLL(None, use_errno=True)
_close = _libc.close
_close.argtypes = [ctypes.c_int]
_fcntl = _libc.fcntl
_fcntl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
_pipe2 = _libc.pipe2
_pipe2.argtypes = [ctypes.c_void_p, ctypes.c_int]
_read = _libc.read
_read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
_read.restype = ctypes.c_ssize_t
_pread = _libc.pread
_pread.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
_pread.restype = ctypes.c_ssize_t
_waitpid = _libc.waitpid
_waitpid.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


class _Room(threading.local):
    """Where a thread's calls leave what they bring."""

    def __init__(self) -> None:
        self.chunk = ctypes.create_string_buffer(CHUNK_BYTES)
        self.at = ctypes.addressof(self.chunk)
        self.status = ctypes.c_int()
        self.ends = (ctypes.c_int * 2)()
        self.ends_at = ctypes.addressof(self.ends)

    def taken(self, count: int) -> bytes:
        """Return a copy of the first ``count`` bytes."""
        return ctypes.string_at(self.at, count)


_room = _Room()


def close(descriptor: int) -> None:
    """Close a pipe, a pidfd, or what else is closed at once. Raises ``OSError``."""
    if _close(descriptor) != 0 and ctypes.get_errno() != errno.EINTR:  # Linux has closed it then
        raise _error()


def pipe() -> tuple[int, int]:
    """Return both ends of a new pipe, which programs do not inherit; reading it never waits.

    Raises ``OSError``.
    """
    ends = _room.ends
    if _pipe2(_room.ends_at, os.O_CLOEXEC) != 0:
        raise _error()
    read_end, write_end = ends
    # What a pipe's end was opened with is known: O_RDONLY, which is 0.
    if _fcntl(read_end, fcntl.F_SETFL, os.O_NONBLOCK) < 0:
        error = _error()
        os.close(read_end)
        os.close(write_end)
        raise error
    return read_end, write_end


def read(descriptor: int) -> bytes | None:
    """Return a chunk of what is there, nothing at the end, and ``None`` when it is to come.

    The descriptor must be one that never waits, as of :func:`pipe`. Raises ``OSError``.
    """
    while True:
        count = _read(descriptor, _room.at, CHUNK_BYTES)
        if count >= 0:
            return _room.taken(count)
        number = ctypes.get_errno()
        if number == errno.EAGAIN:
            return None
        if number != errno.EINTR:
            raise _error()


def read_at(descriptor: int, offset: int) -> bytes:
    """Return a chunk of a file that the kernel makes up (below /proc). Raises ``OSError``."""
    count = _pread(descriptor, _room.at, CHUNK_BYTES, offset)
    if count < 0:
        raise _error()
    return _room.taken(count)


def reap_ended(pid: int) -> int | None:
    """Reap a child that has ended and return its status, ``None`` while it runs.

    Raises ``OSError``: ``ChildProcessError`` when it is no child of ours, or was reaped before.
    """
    status = _room.status
    found = _waitpid(pid, ctypes.addressof(status), os.WNOHANG)
    if found < 0:
        raise _error()
    return status.value if found else None


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
