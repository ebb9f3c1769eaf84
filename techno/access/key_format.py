"""The text of an API key, and the digest that is all we keep of it.

``techno_<prefix>_<secret><checksum>``: an 8-character public prefix by which the key is looked
up and named everywhere, 43 characters that carry 256 random bits, and 6 characters of CRC-32
over all that stands before, so that a leaked key is told from a look-alike without asking
anybody. All in base 62. The digest is SHA-256: the secret is random, so there is nothing that a
slow hash would protect.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass

BRAND = "techno"
PREFIX_LENGTH = 8
SECRET_BITS = 256
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
#: Anything longer than this is refused unread.
TEXT_LIMIT = 256

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PATTERN = re.compile(
    rf"{BRAND}_([0-9A-Za-z]{{{PREFIX_LENGTH}}})_"
    rf"([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})",
    re.ASCII,
)
#: Version mark of the digests made by :func:`digest_of`.
DIGEST_VERSION = "s1"


@dataclass(frozen=True, slots=True)
class KeyText:
    """A well-formed key: its public prefix and its whole text. The text is a secret."""

    prefix: str
    text: str

    def __repr__(self) -> str:
        return f"KeyText(prefix={self.prefix!r})"


def _base62(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def checksum(body: str) -> str:
    """Return the six characters that end a key whose text before them is ``body``."""
    return _base62(zlib.crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def make_key() -> KeyText:
    """Make a new random key. This is the only place where keys come from."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_LENGTH))
    body = f"{BRAND}_{prefix}_{_base62(secrets.randbits(SECRET_BITS), SECRET_LENGTH)}"
    return KeyText(prefix, body + checksum(body))


def parse_key(text: str) -> KeyText | None:
    """Return the key that ``text`` is, or ``None`` when its form or checksum is wrong."""
    if len(text) > TEXT_LIMIT:
        return None
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    if not hmac.compare_digest(checksum(text[:-CHECKSUM_LENGTH]), match.group(3)):
        return None
    return KeyText(match.group(1), text)


def digest_of(text: str) -> str:
    """Return the versioned digest under which the key ``text`` is kept."""
    return f"{DIGEST_VERSION}${hashlib.sha256(text.encode('utf-8')).hexdigest()}"


#: What an unknown prefix is compared with, so that it costs what a known one costs.
NO_DIGEST = digest_of(secrets.token_hex())


def matches(text: str, digest: str) -> bool:
    """Whether ``text`` is the key behind ``digest``, in constant time."""
    return hmac.compare_digest(digest_of(text), digest)
