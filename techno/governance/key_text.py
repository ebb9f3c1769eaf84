"""What an API key looks like, so that one can be found, and hidden, wherever it turns up.

``techno_<prefix>_<secret><checksum>``: an 8-character public prefix, 43 characters that carry
256 random bits, 6 characters of CRC-32 over all that stands before; base 62 throughout. Making
and keeping keys is ``techno.access.key_format``'s; here is only their form.
"""

from __future__ import annotations

import re
import zlib

BRAND = "techno"
PREFIX_LENGTH = 8
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: How long every key is.
KEY_LENGTH = len(BRAND) + PREFIX_LENGTH + SECRET_LENGTH + CHECKSUM_LENGTH + 2
#: The published expression, in a form that every engine reads.
KEY_EXPRESSION = (
    f"{BRAND}_[0-9A-Za-z]{{{PREFIX_LENGTH}}}_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}"
)
HIDDEN = "*"

_SECRET_AT = len(BRAND) + PREFIX_LENGTH + 2
_KEY_TEXT = re.compile(KEY_EXPRESSION)
_KEY_BYTES = re.compile(KEY_EXPRESSION.encode("ascii"))
_CUT_TEXT = re.compile(rf"{BRAND}_[0-9A-Za-z]{{{PREFIX_LENGTH}}}_[0-9A-Za-z]+\Z")
_CUT_BYTES = re.compile(_CUT_TEXT.pattern.encode("ascii"))
_BRAND_BYTES = f"{BRAND}_".encode("ascii")
_STAR = HIDDEN.encode("ascii")
_BASE62 = frozenset(ALPHABET.encode("ascii"))


def base62(value: int, length: int) -> str:
    """Return ``value`` in base 62 with exactly ``length`` digits."""
    digits = []
    for _ in range(length):
        value, digit = divmod(value, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def checksum(body: str) -> str:
    """Return the six characters that end a key whose text before them is ``body``."""
    return base62(zlib.crc32(body.encode("ascii")), CHECKSUM_LENGTH)


def has_its_checksum(text: str) -> bool:
    """Whether ``text``, which has a key's form, ends as a real key would."""
    return checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]


def key_places(data: bytes) -> list[tuple[int, str]]:
    """Return where in ``data`` real keys stand, and their texts: secrets, not to be printed."""
    found = []
    for match in _KEY_BYTES.finditer(data):
        text = match.group().decode("ascii")
        if has_its_checksum(text):
            found.append((match.start(), text))
    return found


def hide_keys(text: str, *, cut_short: bool = False) -> str:
    """Return ``text`` with the secret of everything that has a key's form starred out.

    The length stays, and so does the public prefix, so that a reader knows which key to rotate.
    ``cut_short`` says that the text once went on: what its end leaves of a key is hidden too.
    """
    if BRAND not in text:
        return text
    text = _KEY_TEXT.sub(lambda found: found[0][:_SECRET_AT].ljust(KEY_LENGTH, HIDDEN), text)
    if cut_short:
        text = _CUT_TEXT.sub(lambda it: it[0][:_SECRET_AT].ljust(len(it[0]), HIDDEN), text)
    return text


class KeyMask:
    """Hides keys in a stream of bytes, also one that two chunks share.

    What may yet become a key is held back until the next chunk tells: at most ``KEY_LENGTH - 1``
    bytes. The length of the stream stays. Call :meth:`finish` at its end.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk and return what can be told of the stream by now."""
        data = hide_key_bytes(self._held + chunk)
        cut = _undecided_from(data)
        self._held = data[cut:]
        return data[:cut]

    def finish(self, *, cut_short: bool = False) -> bytes:
        """Return what was held back; it became no key, unless ``cut_short`` leaves that open."""
        held, self._held = self._held, b""
        if cut_short:
            held = _CUT_BYTES.sub(lambda it: it[0][:_SECRET_AT].ljust(len(it[0]), _STAR), held)
        return held


def hide_key_bytes(data: bytes) -> bytes:
    """Do for bytes what :func:`hide_keys` does for text."""
    if _BRAND_BYTES not in data:
        return data
    return _KEY_BYTES.sub(lambda found: found[0][:_SECRET_AT].ljust(KEY_LENGTH, _STAR), data)


def _undecided_from(data: bytes) -> int:
    """Return the place from which on ``data`` may be the beginning of a key."""
    at = max(0, len(data) - KEY_LENGTH + 1)
    while (at := data.find(_BRAND_BYTES[:1], at)) >= 0:
        if _could_begin(data[at:]):
            return at
        at += 1
    return len(data)


def _could_begin(piece: bytes) -> bool:
    """Whether ``piece``, shorter than a key, is how one begins."""
    if piece[: len(_BRAND_BYTES)] != _BRAND_BYTES[: len(piece)]:
        return False
    rest = piece[len(_BRAND_BYTES) :]
    if len(rest) <= PREFIX_LENGTH:
        return _BASE62.issuperset(rest)
    prefix, mark, secret = (
        rest[:PREFIX_LENGTH],
        rest[PREFIX_LENGTH : PREFIX_LENGTH + 1],
        rest[PREFIX_LENGTH + 1 :],
    )
    return mark == b"_" and _BASE62.issuperset(prefix) and _BASE62.issuperset(secret)
