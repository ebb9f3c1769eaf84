"""C2SP checkpoints: the size and root of the audit log at one moment, signed (tlog-checkpoint).

And the two texts built around one: the proof file that shows one leaf to be in the log
(tlog-proof), and the request that asks a witness to cosign (tlog-witness).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_LIMIT, verify_inclusion
from audit.note import (
    ED25519,
    NOTE_LIMIT_BYTES,
    MalformedNoteError,
    Note,
    SigningKey,
    UnknownKeyError,
    VerifiedSignature,
    VerifierKey,
    decode_base64,
    decode_text,
    encode_base64,
)

PROOF_HEADER = "c2sp.org/tlog-proof@v1"
HASHES_LIMIT = 63
"""A path in a tree of at most 2**63 - 1 leaves has no more hashes."""

PROOF_LIMIT_BYTES = 2 * NOTE_LIMIT_BYTES

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One tree head. Raises MalformedNoteError when a value cannot stand in a checkpoint."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= SIZE_LIMIT or len(self.root) != HASH_BYTES:
            raise MalformedNoteError("a checkpoint's size or root is out of bounds")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedNoteError("an empty tree with a root that is not the empty tree's")
        for line in (self.origin, *self.extensions):
            if not line or any(c < " " for c in line):
                raise MalformedNoteError("an empty line or a control character in a checkpoint")

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note (without its signatures)."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] != "":
            raise MalformedNoteError("a checkpoint has at least three lines, each ended")
        origin, size, root, *extensions = lines[:-1]
        return cls(origin, parse_decimal(size), decode_base64(root), tuple(extensions))

    @property
    def text(self) -> str:
        """What is signed."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    def sign(self, *keys: SigningKey) -> Note:
        """The checkpoint as a note signed by `keys`: more than one while keys are rotated."""
        return Note(self.text, tuple(key.sign(self.text) for key in keys))


def open_checkpoint(
    data: bytes, keys: Sequence[VerifierKey], origin: str
) -> tuple[Checkpoint, tuple[VerifiedSignature, ...]]:
    """Read a checkpoint of the log `origin`, signed by one of its keys at least.

    A log's key bears the origin as its name. `keys` may hold witnesses' keys too; they never
    stand in for the log's own. Raises MalformedNoteError (also for another log's checkpoint),
    UnknownKeyError, BadSignatureError.
    """
    note = Note.parse(data)
    signatures = note.verify(keys)
    if all((s.key.key_type, s.key.name) != (ED25519, origin) for s in signatures):
        raise UnknownKeyError(f"no signature by a known key of {origin}")
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise MalformedNoteError(f"a checkpoint of {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint, signatures


@dataclass(frozen=True, slots=True)
class ProofFile:
    """One leaf's inclusion proof together with the checkpoint it leads to (``.tlog-proof``)."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    """The signed note, verbatim."""
    extra: bytes | None = None
    """Unauthenticated bytes for the reader's convenience; never to be trusted."""

    @classmethod
    def parse(cls, data: bytes) -> ProofFile:
        """Read a proof file. Raises MalformedNoteError; verifies nothing yet."""
        if len(data) > PROOF_LIMIT_BYTES:
            raise MalformedNoteError(f"longer than {PROOF_LIMIT_BYTES} bytes")
        head, separator, note = decode_text(data).partition("\n\n")
        first, *lines = head.split("\n")
        if not separator or first != PROOF_HEADER:
            raise MalformedNoteError(f"not a {PROOF_HEADER} file")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise MalformedNoteError("no index line")
        index = parse_decimal(lines[0].removeprefix("index "))
        path = _parse_hashes(lines[1:])
        Checkpoint.parse(Note.parse(note.encode()).text)
        return cls(index, path, note.encode(), extra)

    def encode(self) -> bytes:
        """The file's bytes."""
        extra = [] if self.extra is None else [f"extra {encode_base64(self.extra)}"]
        hashes = [encode_base64(value) for value in self.path]
        head = "\n".join([PROOF_HEADER, *extra, f"index {self.index}", *hashes])
        return f"{head}\n\n".encode() + self.checkpoint

    def verify(self, leaf: bytes, keys: Sequence[VerifierKey], origin: str) -> Checkpoint:
        """Check that the leaf hash is in the log; returns the checkpoint that vouches for it.

        Raises what :func:`open_checkpoint` raises, and ProofError.
        """
        checkpoint, _ = open_checkpoint(self.checkpoint, keys, origin)
        verify_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint


def add_checkpoint_request(old_size: int, proof: Sequence[bytes], checkpoint: Note) -> bytes:
    """Body of a witness's ``add-checkpoint``: the proof leads from `old_size` to `checkpoint`."""
    lines = [f"old {old_size}", *map(encode_base64, proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + checkpoint.encode()


def parse_decimal(text: str) -> int:
    """A size or index: ASCII digits, no leading zero, within bounds; else MalformedNoteError."""
    if not _DECIMAL.fullmatch(text) or int(text) > SIZE_LIMIT:
        raise MalformedNoteError("not a decimal number, or beyond 2**63 - 1")
    return int(text)


def _parse_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(decode_base64(line) for line in lines)
    if len(hashes) > HASHES_LIMIT or any(len(value) != HASH_BYTES for value in hashes):
        raise MalformedNoteError("a hash is not 32 bytes long, or there are too many")
    return hashes
