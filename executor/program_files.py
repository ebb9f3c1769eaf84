"""Whether a program on this host is there, and whether others than its owner could change it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from executor.spawn import SEARCH_PATH


def find_program(name: str) -> str | None:
    """Return the absolute path of a program that is named without one, ``None`` if there is none.

    Looked up where commands look, and once: what an action keeps is the path.
    """
    if "/" in name or not name:
        return None
    return shutil.which(name, path=SEARCH_PATH)


def complaint_about(program: str) -> str:
    """Return who else could put another program in its place, as a sentence's beginning.

    Looked at are the file that a link leads to and every directory above both. Empty when only
    root and the service's own account could, and for a program that is not there.
    """
    real = os.path.realpath(program)
    places = {program: False, real: False}
    for path in (program, real):
        places |= {str(directory): True for directory in Path(path).parents}
    for place, is_directory in places.items():
        try:
            found = os.lstat(place)
        except OSError:
            continue
        if stat.S_ISLNK(found.st_mode):
            continue  # what it leads to is looked at, and who could change the link
        if found.st_uid not in (0, os.geteuid()):
            return f"{place} belongs to another account"
        sticky = is_directory and found.st_mode & stat.S_ISVTX
        others = stat.S_IWOTH if found.st_gid == 0 else stat.S_IWOTH | stat.S_IWGRP
        if found.st_mode & others and not sticky:
            return f"{place} can be written to by others than its owner"
    return ""
