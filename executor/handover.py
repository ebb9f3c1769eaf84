"""What a new process gets beside its arguments: files with secrets, and a umask of its own."""

from __future__ import annotations

import ctypes
import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

FIRST_HANDED_FD, LAST_HANDED_FD = 3, 9
_CLONE_FS = 0x200
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

_libc = ctypes.CDLL(None, use_errno=True)
_thread = threading.local()


def sealed_file(content: bytes) -> int:
    """Return a descriptor of a file in memory that holds ``content`` and can never change.

    Its number lies above those that are handed over, so that filling one cannot close another.
    """
    descriptor = os.memfd_create("parameter", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, LAST_HANDED_FD + 1)
    finally:
        os.close(descriptor)


def hand_over(libc: Any, actions: Any, handed: Mapping[int, int]) -> None:
    """Add to posix_spawn's file actions: each file at its number, nothing at the others."""
    for number in range(FIRST_HANDED_FD, LAST_HANDED_FD + 1):
        if number in handed:
            code = libc.posix_spawn_file_actions_adddup2(actions, handed[number], number)
        else:
            code = libc.posix_spawn_file_actions_addclose(actions, number)
        if code:
            raise OSError(code, os.strerror(code))


@contextmanager
def own_umask(umask: int) -> Iterator[None]:
    """Have children of this thread born with ``umask``.

    A process's threads share one umask, so this thread first gets one of its own, and keeps it
    from then on (along with its own current directory, which nobody here ever changes). Raises
    ``OSError`` where the kernel does not allow that.
    """
    if not getattr(_thread, "is_apart", False):
        if _libc.unshare(_CLONE_FS) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"umask: {os.strerror(number)}")
        _thread.is_apart = True
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)
