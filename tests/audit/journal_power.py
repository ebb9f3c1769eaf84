"""A disk that forgets, when the power goes, whatever was not fsynced."""

import os
from pathlib import Path
from random import Random
from typing import Any

from tests.audit.journal_faults import FaultyDisk

_SECTOR_BYTES = 512


class PowerLoss(BaseException):
    """The machine stopped here."""


class Killed(BaseException):
    """One process stopped here; the machine goes on."""


class ForgetfulDisk(FaultyDisk):
    """Works on a real directory and remembers which part of it would outlast a loss of power.

    Any sector written since the last fsync of its file may have reached the disk or not, and so
    may the new size. Of the changes to the directory since its last fsync, those up to any one of
    them have. The power goes at call ``dies_at``, or with ``in_sync`` at the next fsync from there.
    """

    def __init__(self, directory: Path, dies_at: int, *, in_sync: bool) -> None:
        super().__init__(self._remember)
        self.directory = directory
        self.dies_at = dies_at
        self.in_sync = in_sync
        self.dead = False
        self.kills_in_sync = False
        self.written: dict[int, bytearray] = {}
        self.durable: dict[int, bytes] = {}
        self.current: dict[str, int] = {}
        self.entries: dict[str, int] = {}
        self.changes: list[tuple[str, str | None, int]] = []
        self.open_files: dict[int, int | None] = {}

    def _remember(self, count: int, name: str, real: Any, arguments: tuple[Any, ...]) -> Any:
        self.dead |= count >= self.dies_at and name in ("sync", "" if self.in_sync else name)
        if self.dead and name != "close":
            raise PowerLoss
        if self.kills_in_sync and name == "sync":
            self.kills_in_sync = False
            raise Killed
        result = real()
        getattr(self, f"_after_{name}", lambda *_: None)(result, *arguments)
        return result

    def _after_open(self, fd: int, path: Path, flags: int) -> None:
        if flags & os.O_CREAT:
            file = len(self.written)
            self.written[file], self.durable[file] = bytearray(), b""
            self._change(path.name, None, file)
        self.open_files[fd] = self.current.get(path.name)

    def _after_pwrite(self, taken: int, fd: int, data: bytes, offset: int) -> None:
        content = self.written[self.open_files[fd]]
        content.extend(bytes(max(0, offset + taken - len(content))))
        content[offset : offset + taken] = data[:taken]

    def _after_allocate(self, _: None, fd: int, offset: int, count: int) -> None:
        content = self.written[self.open_files[fd]]
        content.extend(bytes(max(0, offset + count - len(content))))

    def _after_sync(self, _: None, fd: int) -> None:
        file = self.open_files[fd]
        if file is None:
            self.entries, self.changes = dict(self.current), []
        else:
            self.durable[file] = bytes(self.written[file])

    def _after_rename(self, _: None, source: Path, target: Path) -> None:
        self._change(target.name, source.name, 0)

    def _after_unlink(self, _: None, path: Path) -> None:
        self._change("", path.name, 0)

    def _change(self, *change: Any) -> None:
        self.changes.append(change)
        _apply(self.current, [change])

    def lose_power(self, random: Random, target: Path) -> None:
        """Write to a new directory what is left."""
        _apply(self.entries, self.changes[: random.randint(0, len(self.changes))])
        target.mkdir(mode=0o700)
        for name, file in self.entries.items():
            (target / name).write_bytes(self._remains(file, random))

    def _remains(self, file: int, random: Random) -> bytes:
        old, new = self.durable[file], bytes(self.written[file])
        size = random.choice([len(old), len(new)])
        old, new = old.ljust(size, b"\0"), new.ljust(size, b"\0")
        left = bytearray(size)
        favour = random.choice([0.1, 0.5, 0.9])
        for at in range(0, size, _SECTOR_BYTES):
            part = slice(at, min(at + _SECTOR_BYTES, size))
            left[part] = (new if random.random() < favour else old)[part]
        return bytes(left)


def _apply(names: dict[str, int], changes: list[tuple[str, str | None, int]]) -> None:
    for name, source, created in changes:
        file = names.pop(source) if source else created
        if name:
            names[name] = file
