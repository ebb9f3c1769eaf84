"""How a caller wants its run: what its headers say, checked. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

NAME = re.compile(r"[\x20-\x7e]{1,255}")
NAME_RULE = "Idempotency-Key: must be 1 to 255 printable ASCII characters."


class InvalidName(ValueError):
    """The name of a request breaks the rule that the text tells."""


def wants_async(prefer: str) -> bool:
    """Whether a ``Prefer`` header (RFC 7240) asks for an answer before the end."""
    wishes = (wish.partition(";")[0].strip().lower() for wish in prefer.split(","))
    return "respond-async" in wishes


def checked_name(text: str | None) -> str:
    """Return an ``Idempotency-Key``, ``""`` for none. Raises :class:`InvalidName`."""
    if text is None:
        return ""
    if NAME.fullmatch(text) is None:
        raise InvalidName(NAME_RULE)
    return text


def fingerprint(body: Any) -> str:
    """Return what two equal bodies share: their values count, not how they are written."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
