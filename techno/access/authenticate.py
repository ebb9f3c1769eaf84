"""From a header to a principal.

A verified key is remembered in this process for ``KEY_CACHE_S`` seconds at most, so a revocation
holds everywhere within that time. Only keys that verified are remembered: a caller cannot fill
the memory with guesses, and an unknown prefix is asked of the database like a known one.
"""

from __future__ import annotations

import enum
import hmac
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from techno.access.key_format import NO_DIGEST, TEXT_LIMIT, digest_of, parse_key
from techno.access.snapshot import find_in_snapshot
from techno.database.current import store
from techno.database.errors import StoreError, StoreUnavailable
from techno.governance.principal import Principal, PrincipalKind, Scope

CACHE_MOST = 4096
LAST_USED_EVERY_S = 60
ENVIRONMENT_IDENTITY = "env"

_FIND_SQL = """
SELECT digest, label, scopes, allowed_actions, revoked_at IS NULL,
       extract(epoch FROM expires_at)::float8, extract(epoch FROM now())::float8
FROM access_api_keys WHERE prefix = %s
"""
_TOUCH_SQL = """
UPDATE access_api_keys SET last_used_at = now()
WHERE prefix = %s AND (last_used_at IS NULL OR last_used_at < now() - interval '60 seconds')
RETURNING prefix
"""


class Cause(enum.StrEnum):
    """Why a key was refused: for the trace's readers, never for the caller."""

    MISSING = "no key was sent"
    MALFORMED = "not a key of ours"
    UNKNOWN = "unknown key"
    REVOKED = "revoked"
    EXPIRED = "expired"


class KeyRefused(Exception):
    """The header holds no live key."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Verified:
    """A key that verified, until when that may be believed."""

    principal: Principal
    until_monotonic_s: float
    expires_at_s: float | None


_verified: OrderedDict[str, _Verified] = OrderedDict()
_touched: dict[str, float] = {}
_lock = threading.Lock()


def authenticate(text: str) -> Principal:
    """Return whose key ``text`` is. Raises :class:`KeyRefused` and ``StoreError``."""
    if not text:
        raise KeyRefused(Cause.MISSING)
    if len(text) > TEXT_LIMIT or not text.isascii():
        raise KeyRefused(Cause.MALFORMED)
    if _is_environment_key(text):
        return _environment_principal()
    digest = digest_of(text)
    remembered = _verified.get(digest)
    if remembered is not None and _still_good(remembered):
        return remembered.principal
    return _verify(text, digest)


def _is_environment_key(text: str) -> bool:
    """Compare digests, which have one length whatever the texts have."""
    configured = settings.ENVIRONMENT_API_KEY
    return bool(configured) and hmac.compare_digest(digest_of(text), digest_of(configured))


def _environment_principal() -> Principal:
    return Principal(
        PrincipalKind.ENVIRONMENT_KEY,
        ENVIRONMENT_IDENTITY,
        "TECHNO_API_KEY",
        frozenset(Scope),
    )


def _still_good(remembered: _Verified) -> bool:
    if time.monotonic() >= remembered.until_monotonic_s:
        return False
    return remembered.expires_at_s is None or time.time() < remembered.expires_at_s


def _verify(text: str, digest: str) -> Principal:
    """Ask the database. Every miss costs one query and one comparison, whatever was missing."""
    parsed = parse_key(text)
    if parsed is None:
        raise KeyRefused(Cause.MALFORMED)
    try:
        found = store().reads.row(_FIND_SQL, [parsed.prefix])
    except StoreUnavailable:
        known = find_in_snapshot(parsed.prefix, digest)
        if known is None:
            raise
        # Recognised while the database is away; what it may then do, the gate limits.
        return replace(_principal(parsed.prefix, *known, None), provisional=True)
    stored = found[0] if found is not None else NO_DIGEST
    if not hmac.compare_digest(digest, stored) or found is None:
        raise KeyRefused(Cause.UNKNOWN)
    _, label, scopes, actions, live, expires_at_s, now_s = found
    if not live:
        raise KeyRefused(Cause.REVOKED)
    if expires_at_s is not None and max(now_s, time.time()) >= expires_at_s:
        raise KeyRefused(Cause.EXPIRED)
    principal = _principal(parsed.prefix, label, scopes, actions)
    _remember(digest, _Verified(principal, time.monotonic() + settings.KEY_CACHE_S, expires_at_s))
    _touch(parsed.prefix)
    return principal


def _principal(prefix: str, label: str, scopes: Any, actions: Any) -> Principal:
    known = {scope.value: scope for scope in Scope}
    return Principal(
        PrincipalKind.API_KEY,
        prefix,
        label,
        frozenset(known[scope] for scope in scopes if scope in known),
        None if actions is None else frozenset(actions),
    )


def _remember(digest: str, verified: _Verified) -> None:
    with _lock:
        _verified[digest] = verified
        _verified.move_to_end(digest)
        while len(_verified) > CACHE_MOST:
            _verified.popitem(last=False)


def _touch(prefix: str) -> None:
    """Note that the key was used, at most once a minute; never at the request's expense."""
    now = time.monotonic()
    if now - _touched.get(prefix, -LAST_USED_EVERY_S) < LAST_USED_EVERY_S:
        return
    _touched[prefix] = now
    if len(_touched) > CACHE_MOST:
        _touched.clear()
    try:
        store().reads.rows(_TOUCH_SQL, [prefix])
    except StoreError:
        _touched.pop(prefix, None)
