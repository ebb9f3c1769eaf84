"""Callers' free text, made harmless: escaped, capped, and still telling one text from another."""

from __future__ import annotations

import hashlib

#: Hexadecimal digits of the digest that stands for what a cap cut off.
DIGEST_LENGTH = 16


def caller_text(value: str, limit: int) -> str:
    """Return ``value`` as printable text of at most ``limit`` characters.

    Control and format characters, line ends, NUL and lone surrogates become ``\\uXXXX`` escapes,
    and a backslash is doubled, so that the original can be told from its escape. What is longer
    than ``limit`` is cut and ends in ``…sha256:<first digits>`` of the whole, so that two long
    texts with the same start still differ. ``limit`` must leave room for that (40 or more).
    """
    if len(value) <= limit and value.isprintable() and "\\" not in value:
        return value
    escaped = "".join(map(_escape, value[: limit + 1]))
    if len(value) <= limit and len(escaped) <= limit:
        return escaped
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
    tail = f"…sha256:{digest[:DIGEST_LENGTH]}"
    return escaped[: limit - len(tail)] + tail


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
