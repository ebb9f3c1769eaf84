"""The text of an API key, and the digests that are all we keep of it.

The form is ``techno.governance.key_text``'s: told from a look-alike without asking anybody. A
digest names how it was made: ``s1$…`` is SHA-256, ``h1:<pepper id>$…`` is HMAC-SHA256 under a
pepper, a secret that is not in the database. The key's secret is random, so there is nothing
that a slow hash would protect; the pepper makes a stolen table useless even against a weak
random source, and lets nobody who can write the table plant a key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

from techno.governance.key_text import (
    ALPHABET,
    BRAND,
    CHECKSUM_LENGTH,
    KEY_EXPRESSION,
    PREFIX_LENGTH,
    SECRET_LENGTH,
    base62,
    checksum,
)

SECRET_BITS = 256
#: Anything longer than this is refused unread.
TEXT_LIMIT = 256
#: Marks of the ways in which digests are made.
PLAIN = "s1"
PEPPERED = "h1"
PEPPER_ID_LENGTH = 8
PEPPER_LEAST = 32

_PATTERN = re.compile(KEY_EXPRESSION, re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyText:
    """A well-formed key: its public prefix and its whole text. The text is a secret."""

    prefix: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pepper:
    """A secret under which digests are made; ``identity`` tells which one, and not what it is."""

    identity: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Pepper:
        """Return the pepper whose secret is ``text``."""
        named = hashlib.sha256(b"techno pepper id\0" + text.encode("utf-8")).hexdigest()
        return cls(named[:PEPPER_ID_LENGTH], text.encode("utf-8"))


def make_key() -> KeyText:
    """Make a new random key. This is the only place where keys come from."""
    prefix = "".join(secrets.choice(ALPHABET) for _ in range(PREFIX_LENGTH))
    body = f"{BRAND}_{prefix}_{base62(secrets.randbits(SECRET_BITS), SECRET_LENGTH)}"
    return KeyText(prefix, body + checksum(body))


def parse_key(text: str) -> KeyText | None:
    """Return the key that ``text`` is, or ``None`` when its form or checksum is wrong."""
    if len(text) > TEXT_LIMIT or _PATTERN.fullmatch(text) is None:
        return None
    if not hmac.compare_digest(checksum(text[:-CHECKSUM_LENGTH]), text[-CHECKSUM_LENGTH:]):
        return None
    start = len(BRAND) + 1
    return KeyText(text[start : start + PREFIX_LENGTH], text)


def digest_of(text: str, pepper: Pepper | None = None) -> str:
    """Return the versioned digest under which the key ``text`` is kept."""
    raw = text.encode("utf-8")
    if pepper is None:
        return f"{PLAIN}${hashlib.sha256(raw).hexdigest()}"
    made = hmac.new(pepper.secret, raw, hashlib.sha256).hexdigest()
    return f"{PEPPERED}:{pepper.identity}${made}"


def digests_of(text: str, peppers: tuple[Pepper, ...]) -> tuple[str, ...]:
    """Return every digest under which ``text`` may be kept: each pepper's, then the plain one.

    All of them are made for every text, so that an unknown prefix costs what a known one costs.
    """
    return (*(digest_of(text, pepper) for pepper in peppers), digest_of(text))


def matches(digests: tuple[str, ...], stored: str) -> bool:
    """Whether ``stored`` is one of ``digests``; looks at all of them, each in constant time."""
    found = 0
    for digest in digests:
        found |= hmac.compare_digest(digest, stored)
    return bool(found)


def made_with(stored: str) -> str:
    """Return how a stored digest was made: ``s1``, or ``h1:`` and the pepper's identity."""
    return stored.partition("$")[0]


#: What an unknown prefix is compared with, so that it costs what a known one costs.
NO_DIGEST = digest_of(secrets.token_hex(), Pepper.of(secrets.token_hex()))
