"""Finds keys of ours in files, without sending or printing a secret.

A key is told by its form and its checksum alone; whether it lives is asked of the database by
its public prefix and its digest. Files are read in pieces, so that their size does not matter,
and as bytes, so that their kind does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from techno.access.key_format import digests_of, matches, parse_key
from techno.access.models import ApiKey
from techno.access.peppers import known_peppers
from techno.governance.key_text import KEY_LENGTH, key_places

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """A key in a file: where, its public prefix, and what is known of it here.

    ``state`` is the key's, or ``altered`` where its prefix is known and its secret is not the
    one that was issued, or ``unknown``.
    """

    path: Path
    line: int
    prefix: str
    state: str

    @property
    def lives(self) -> bool:
        """Whether somebody who finds it there can use it, now or once it is resumed."""
        return self.state in ("live", "suspended")


def scan(paths: list[Path]) -> Iterator[Finding | OSError]:
    """Yield every key in ``paths``, directories with all below them, and what cannot be read.

    Symbolic links below a directory are not followed, and only regular files are read.
    """
    for path in paths:
        try:
            mode = path.stat().st_mode
            if S_ISDIR(mode):
                yield from _scan_directory(path)
            elif S_ISREG(mode):
                yield from _scan_file(path)
        except OSError as error:
            yield error


def _scan_directory(directory: Path) -> Iterator[Finding | OSError]:
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = Path(entry.path)
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _scan_directory(path)
            elif entry.is_file(follow_symlinks=False):
                yield from _scan_file(path)
        except OSError as error:
            yield error


def _scan_file(path: Path) -> Iterator[Finding]:
    lines, held = 1, b""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            data = held + piece
            # What may go on in the next piece stays for it; a key is found where it ends.
            keep = min(len(data), KEY_LENGTH - 1)
            for at, text in key_places(data):
                yield Finding(path, lines + data.count(b"\n", 0, at), text.split("_")[1],
                              _state_of(text))  # fmt: skip
                keep = min(keep, len(data) - at - KEY_LENGTH)
            held = data[len(data) - keep :]
            lines += data.count(b"\n", 0, len(data) - keep)


def _state_of(text: str) -> str:
    parsed = parse_key(text)
    key = ApiKey.objects.filter(prefix=parsed.prefix).first() if parsed else None
    if key is None:
        return "unknown"
    return key.state if matches(digests_of(text, known_peppers()), key.digest) else "altered"
