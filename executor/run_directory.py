"""The directory that a run has for itself: made before it, removed after it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

_MODE = 0o700


def directory_of(execution_id: str) -> str:
    """Return where the private directory of a run is. Its name cannot be guessed beforehand."""
    return f"{tempfile.gettempdir()}/techno-{execution_id}"


@contextmanager
def private_directory(execution_id: str, owner: tuple[int, int] | None = None) -> Iterator[str]:
    """Have a fresh directory, of ``owner`` (user, group) or ours, and remove it after the block.

    Raises ``OSError`` when it cannot be made, or is there already.
    """
    path = directory_of(execution_id)
    os.mkdir(path, _MODE)
    try:
        if owner is not None:
            os.chown(path, *owner)
        yield path
    finally:
        remove_directory(execution_id)


def remove_directory(execution_id: str) -> None:
    """Remove what is left of a run's directory. Never raises: what stays is told in the log."""
    path = directory_of(execution_id)
    try:
        os.rmdir(path)  # most commands leave nothing behind
    except FileNotFoundError:
        return
    except OSError:
        _remove_tree(path)


def _remove_tree(path: str) -> None:
    for last in (False, True):
        try:
            shutil.rmtree(path)  # follows no link
        except (OSError, RecursionError) as error:
            if last:
                log.warning("a run's directory could not be removed", path=path, cause=str(error))
            else:
                _open_up(path)
        else:
            return


def _open_up(path: str) -> None:
    """Take back the permission to enter and empty directories that a program took away.

    A name may be a link to anywhere by now: what is changed is what was opened, never a path.
    """
    try:
        _take(path, None)
        for _, below, _, descriptor in os.fwalk(path):
            for name in below:
                _take(name, descriptor)
    except OSError:
        return  # the next attempt tells what is left


def _take(name: str, within: int | None) -> None:
    try:
        flags = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY
        descriptor = os.open(name, flags, dir_fd=within)
    except NotADirectoryError:  # a link
        return
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", _MODE)
    finally:
        os.close(descriptor)
