"""Values that must wait on disk and be read by nobody but us: encrypted and authenticated.

The key comes from ``SECRET_KEY``, so what was sealed under a key that is gone cannot be opened;
it is refused then, never guessed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

_SEALING = b"techno executor sealing v1"
_BINDING = b"techno executor binding v1"


class Unsealable(ValueError):
    """The text was not sealed here, was altered, or the key that sealed it is gone."""


def seal(value: Mapping[str, Any]) -> str:
    """Return ``value`` encrypted, as text. Raises ``TypeError`` for what is not JSON."""
    return _fernet().encrypt(orjson.dumps(value)).decode("ascii")


def unseal(text: str) -> dict[str, Any]:
    """Return what was sealed. Raises :class:`Unsealable`."""
    try:
        value: dict[str, Any] = orjson.loads(_fernet().decrypt(text.encode()))
    except (InvalidToken, orjson.JSONDecodeError, UnicodeEncodeError) as error:
        raise Unsealable("the values cannot be opened with this SECRET_KEY") from error
    return value


def binding_digest(value: Mapping[str, Any]) -> str:
    """Return a digest that says nothing of ``value`` to whoever does not know ``SECRET_KEY``."""
    return _digest(_keys()[0], value)


def is_bound(digest: str, value: Mapping[str, Any]) -> bool:
    """Whether ``digest`` is that of ``value``, under the present or an earlier ``SECRET_KEY``."""
    return any(hmac.compare_digest(digest, _digest(key, value)) for key in _keys())


def _digest(key: str, value: Mapping[str, Any]) -> str:
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return hmac.new(_derived(key, _BINDING), text, hashlib.sha256).hexdigest()


def _fernet() -> MultiFernet:
    return MultiFernet(
        [Fernet(base64.urlsafe_b64encode(_derived(key, _SEALING))) for key in _keys()]
    )


def _derived(key: str, purpose: bytes) -> bytes:
    return hmac.new(key.encode(), purpose, hashlib.sha256).digest()


def _keys() -> list[str]:
    return [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
