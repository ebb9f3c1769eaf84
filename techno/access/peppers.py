"""The peppers under which digests are made: today's, and the one before it.

Changing it: the new one becomes ``TECHNO_KEY_PEPPER``, the old one
``TECHNO_KEY_PEPPER_PREVIOUS``. Each key's digest is made anew when the key is used; once
``manage.py apikey list --digests`` shows none of the old pepper's, that is forgotten.
"""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from techno.access.key_format import Pepper


@lru_cache(maxsize=8)
def _pepper(text: str) -> Pepper | None:
    return Pepper.of(text) if text else None


def current_pepper() -> Pepper | None:
    """Return the pepper under which digests are made now; ``None`` where none is configured."""
    return _pepper(settings.KEY_PEPPER)


def known_peppers() -> tuple[Pepper, ...]:
    """Return all peppers under which a digest may have been made, today's first."""
    found = (current_pepper(), _pepper(settings.KEY_PEPPER_PREVIOUS))
    return tuple(pepper for pepper in found if pepper is not None)
