"""The log's signing keys and its memory outside of the database.

Under ``<var>/audit/``: one file for each signing key (mode 0600), and the last checkpoint that
was signed. That file is what a restored or wiped database cannot take back: a new tree must be
consistent with it before anything is signed again.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from audit.checkpoint import Checkpoint, open_checkpoint
from audit.note import SigningKey, VerifierKey

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
LOCK_WAIT_S = 10.0
_KEY_SUFFIX = ".key"
_RETIRED_SUFFIX = ".retired"


class NoSigningKey(Exception):
    """This host holds no signing key, and must not make one; the text says why."""


@dataclass(frozen=True, slots=True)
class SigningDirectory:
    """The directory that holds keys and memory of one log on this host."""

    path: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory alone for the block. Raises ``TimeoutError``."""
        self.path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            ends_at = time.monotonic() + LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > ends_at:
                        raise TimeoutError("another process signs and does not end") from None
                    time.sleep(0.01)
            yield
        finally:
            os.close(descriptor)

    def current_keys(self) -> list[SigningKey]:
        """Return the keys that sign now, oldest first: two while one is being replaced."""
        files = sorted(self.path.glob(f"*{_KEY_SUFFIX}"))
        return [SigningKey.parse(file.read_text(encoding="ascii")) for file in files]

    def add_key(self, origin: str) -> SigningKey:
        """Make a key; from now on it signs, beside those that do already."""
        key = SigningKey.generate(origin)
        name = f"{time.time_ns():020d}-{key.verifier.key_id.hex()}{_KEY_SUFFIX}"
        self._write(name, key.encode().encode("ascii"))
        return key

    def retire_key(self, key_id: str) -> None:
        """Let a key sign no more. Raises ``KeyError`` when it is not there or is the only one."""
        files = sorted(self.path.glob(f"*-{key_id}{_KEY_SUFFIX}"))
        if not files:
            raise KeyError(f"no signing key has the id {key_id}")
        if len(self.current_keys()) < 2:
            raise KeyError("the only signing key cannot be retired; add another one first")
        for file in files:
            file.rename(file.with_suffix(_RETIRED_SUFFIX))
        self._sync()

    def remembered(self) -> bytes | None:
        """Return the last checkpoint that was signed here, ``None`` when there was none."""
        try:
            return (self.path / "last_checkpoint").read_bytes()
        except FileNotFoundError:
            return None

    def remember(self, note: bytes) -> None:
        """Keep ``note`` as the last checkpoint, durably and whole."""
        self._write("last_checkpoint", note)

    def set_aside(self) -> Path | None:
        """Move the remembered checkpoint away, by an operator's decision; return where to."""
        path = self.path / "last_checkpoint"
        if not path.exists():
            return None
        aside = self.path / f"superseded-{time.time_ns()}.checkpoint"
        path.rename(aside)
        self._sync()
        return aside

    def note_refusal(self, why: str) -> None:
        """Leave word for other processes that signing is refused, ``""`` that it is not."""
        if why:
            self._write("refused", why.encode())
        else:
            (self.path / "refused").unlink(missing_ok=True)

    def refusal(self) -> str:
        """Return why signing is refused at the moment; empty when it is not."""
        try:
            return (self.path / "refused").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def _write(self, name: str, data: bytes) -> None:
        """Write a file so that it is there whole or not at all, whatever happens."""
        self.path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        draft = self.path / f".{name}.{os.getpid()}"
        descriptor = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE
        )
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.rename(self.path / name)
        self._sync()

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def default_origin() -> str:
    """Return the name of a new log whose operator gave none: this host's, and what it is."""
    host = "".join(c if c.isalnum() or c in ".-" else "-" for c in socket.gethostname())
    return f"{host or 'localhost'}/techno/audit"


def read_checkpoint(note: bytes, keys: list[VerifierKey], origin: str) -> Checkpoint:
    """Return the checkpoint in ``note``. Raises ``audit.note.NoteError``."""
    return open_checkpoint(note, keys, origin)[0]
