"""C2SP signed notes: a text, and the signatures of named keys below it (c2sp.org/signed-note).

Only Ed25519 is spoken: plain note signatures (type 0x01, what a log signs with) and timestamped
cosignatures of checkpoints (type 0x04, what a witness signs with, c2sp.org/tlog-cosignature).

The parser refuses what the format forbids instead of repairing it, because two readers who repair
differently see two different notes under one signature.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = 0x01
COSIGNATURE = 0x04

NOTE_LIMIT_BYTES = 131_072
"""Room for far more than the 16 signatures every verifier must accept, post-quantum ones too."""

TIMESTAMP_LIMIT_S = 2**63 - 1

_EM_DASH = "\u2014"
_PRIVATE_KEY_PREFIX = "PRIVATE+KEY+"
_KEY_ID = re.compile(r"[0-9a-f]{8}")


class NoteError(ValueError):
    """Something is wrong with a note or a key."""


class MalformedNoteError(NoteError):
    """The bytes are not a signed note, or the text is not a key."""


class UnknownKeyError(NoteError):
    """No signature on the note is by a key that was asked for."""


class BadSignatureError(NoteError):
    """A signature that claims to be by a known key is not."""


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, not verified."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line as it stands in a note, newline included."""
        return f"{_EM_DASH} {self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name. Raises MalformedNoteError when name, type or length is wrong."""

    name: str
    public_key: bytes
    key_type: int = ED25519

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.key_type not in (ED25519, COSIGNATURE) or len(self.public_key) != 32:
            raise MalformedNoteError("only Ed25519 keys of 32 bytes, type 0x01 or 0x04, are known")

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read ``name+hex(key id)+base64(type, public key)``; the key id must fit the rest."""
        name, key_id, material = _split_key(vkey)
        key = cls(name, material[1:], material[0])
        if key.key_id != key_id:
            raise MalformedNoteError(f"the key id of {name} does not fit its public key")
        return key

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, tell which key signed."""
        material = bytes([self.key_type]) + self.public_key
        return sha256(self.name.encode() + b"\n" + material).digest()[:4]

    @property
    def vkey(self) -> str:
        """The text form that people exchange."""
        material = encode_base64(bytes([self.key_type]) + self.public_key)
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check `signature` over `text`; the seconds since 1970 of a cosignature, else None.

        Raises BadSignatureError.
        """
        timestamp_s = None
        message = text.encode()
        if self.key_type == COSIGNATURE:
            timestamp_s, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            if timestamp_s > TIMESTAMP_LIMIT_S:
                raise BadSignatureError(f"the cosignature of {self.name} has no possible time")
            message = _cosigned(message, timestamp_s)
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            raise BadSignatureError(f"the signature of {self.name} is not valid") from None
        return timestamp_s


class SigningKey:
    """A private key under a name. Keeps its secret out of representations and errors."""

    def __init__(self, name: str, seed: bytes, key_type: int = ED25519) -> None:
        """`seed` is the 32 bytes of RFC 8032. Raises MalformedNoteError when it cannot be a key."""
        if len(seed) != 32:
            raise MalformedNoteError("an Ed25519 seed has 32 bytes")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public_key = self._private.public_key().public_bytes_raw()
        self.verifier = VerifierKey(name, public_key, key_type)

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier.vkey})"

    @classmethod
    def generate(cls, name: str, key_type: int = ED25519) -> SigningKey:
        """A new key from the system's random source."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw(), key_type)

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """Read what :meth:`encode` wrote. Raises MalformedNoteError."""
        prefix, key = text[: len(_PRIVATE_KEY_PREFIX)], text[len(_PRIVATE_KEY_PREFIX) :]
        if prefix != _PRIVATE_KEY_PREFIX or not key.endswith("\n"):
            raise MalformedNoteError("not a signing key file")
        name, key_id, material = _split_key(key[:-1])
        signing_key = cls(name, material[1:], material[0])
        if signing_key.verifier.key_id != key_id:
            raise MalformedNoteError("the signing key does not fit its key id: the file is damaged")
        return signing_key

    def encode(self) -> str:
        """One line, ``PRIVATE+KEY+name+id+base64(type, seed)``, for a file of mode 0600."""
        key = self.verifier
        material = encode_base64(bytes([key.key_type]) + self._private.private_bytes_raw())
        return f"{_PRIVATE_KEY_PREFIX}{key.name}+{key.key_id.hex()}+{material}\n"

    def sign(self, text: str, timestamp_s: int | None = None) -> NoteSignature:
        """Sign the text of a note; a cosigning key needs `timestamp_s`, another one takes none."""
        if (self.verifier.key_type == COSIGNATURE) != (timestamp_s is not None):
            raise ValueError("a cosignature has a timestamp, and nothing else has one")
        message, prefix = text.encode(), b""
        if timestamp_s is not None:
            if not 0 <= timestamp_s <= TIMESTAMP_LIMIT_S:
                raise ValueError(f"{timestamp_s} is not a cosignature's timestamp")
            message, prefix = _cosigned(message, timestamp_s), timestamp_s.to_bytes(8, "big")
        signature = prefix + self._private.sign(message)
        return NoteSignature(self.verifier.name, self.verifier.key_id, signature)


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that was checked, with the time a cosignature states."""

    key: VerifierKey
    timestamp_s: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """A signed note as it was read or is to be written; says nothing about who is trusted."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a whole note. Raises MalformedNoteError for anything the format forbids."""
        if len(data) > NOTE_LIMIT_BYTES:
            raise MalformedNoteError(f"longer than {NOTE_LIMIT_BYTES} bytes")
        content = decode_text(data)
        text, separator, block = content.rpartition("\n\n")
        if not separator:
            raise MalformedNoteError("no empty line between text and signatures")
        return cls(text + "\n", parse_signatures(block))

    def encode(self) -> bytes:
        """The note's bytes."""
        return f"{self.text}\n{''.join(s.line() for s in self.signatures)}".encode()

    def with_signatures(self, *signatures: NoteSignature) -> Note:
        """The same text with further signatures below the others."""
        return Note(self.text, self.signatures + signatures)

    def verify(self, keys: Sequence[VerifierKey]) -> tuple[VerifiedSignature, ...]:
        """The signatures by `keys`, at least one, each of them valid; others are passed over.

        Raises UnknownKeyError when there is none, BadSignatureError when one fails or one key
        signed twice: one failing signature of a known key condemns the whole note.
        """
        known = {(key.name, key.key_id): key for key in keys}
        if len(known) != len({*keys}):
            raise NoteError("two different keys have the same name and id")
        found: dict[VerifierKey, VerifiedSignature] = {}
        for line in self.signatures:
            key = known.get((line.name, line.key_id))
            if key is None:
                continue
            if key in found:
                raise BadSignatureError(f"two signatures of {key.name}+{key.key_id.hex()}")
            found[key] = VerifiedSignature(key, key.verify(self.text, line.signature))
        if not found:
            raise UnknownKeyError("no signature by a known key")
        return tuple(found.values())


def parse_signatures(block: str) -> tuple[NoteSignature, ...]:
    """Read signature lines, one or more: the end of a note, or a witness's answer."""
    if not block.endswith("\n"):
        raise MalformedNoteError("the last signature line is not ended")
    return tuple(_parse_signature(line) for line in block[:-1].split("\n"))


def _parse_signature(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _EM_DASH:
        raise MalformedNoteError("a signature line is not: em dash, space, name, space, base64")
    check_name(parts[1])
    blob = decode_base64(parts[2])
    if len(blob) < 5:
        raise MalformedNoteError("a signature is too short to hold a key id and a signature")
    return NoteSignature(parts[1], blob[:4], blob[4:])


def check_name(name: str) -> None:
    """Raise MalformedNoteError unless `name` may name a key: not empty, no space, plus, control."""
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise MalformedNoteError("a key name is not empty and has no space, plus or control byte")


def decode_text(data: bytes) -> str:
    """UTF-8 without control characters below U+0020 except newline; else MalformedNoteError."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedNoteError("not UTF-8") from None
    if any(c < " " and c != "\n" for c in text):
        raise MalformedNoteError("a control character")
    return text


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The inverse; refuses every text but the one :func:`encode_base64` makes of those bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedNoteError("not base64") from None
    if encode_base64(data) != text:  # stray bits after the last byte
        raise MalformedNoteError("not the canonical base64")
    return data


def _split_key(text: str) -> tuple[str, bytes, bytes]:
    """Name, key id and type-prefixed material of a public or private key's text form."""
    name, plus, rest = text.partition("+")
    key_id, second_plus, encoded = rest.partition("+")
    if not plus or not second_plus or not _KEY_ID.fullmatch(key_id):
        raise MalformedNoteError("not name+id+key")
    material = decode_base64(encoded)
    if not material:
        raise MalformedNoteError("a key without key material")
    return name, bytes.fromhex(key_id), material


def _cosigned(text: bytes, timestamp_s: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (timestamp_s, text)
