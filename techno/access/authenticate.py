"""From a header to a principal.

A verified key is remembered in this process for ``KEY_CACHE_S`` seconds at most, so a revocation
holds everywhere within that time. Only keys that verified are remembered: a caller cannot fill
the memory with guesses, and an unknown prefix is asked of the database like a known one.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog
from django.conf import settings

from techno.access.key_format import (
    NO_DIGEST,
    TEXT_LIMIT,
    KeyText,
    digest_of,
    digests_of,
    made_with,
    matches,
    parse_key,
)
from techno.access.known_key import principal_of
from techno.access.peppers import known_peppers
from techno.access.snapshot import find_in_snapshot
from techno.access.sql import statement
from techno.database.current import store
from techno.database.errors import StoreError, StoreUnavailable
from techno.governance.principal import Principal, PrincipalKind, Scope

log = structlog.get_logger(__name__)
CACHE_MOST = 4096
#: For how long a key that verified here is familiar (see :func:`is_familiar`).
FAMILIAR_S = 900.0
ENVIRONMENT_IDENTITY = "env"


class Cause(enum.StrEnum):
    """Why a key was refused: for the trace's readers, never for the caller."""

    MISSING = "no key was sent"
    MALFORMED = "not a key of ours"
    UNKNOWN = "unknown key"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    UNREADABLE = "a restriction of the key cannot be read"


class KeyRefused(Exception):
    """The header holds no live key."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Verified:
    """A key that verified, until when that may be believed, and for how long it is familiar."""

    principal: Principal
    until_monotonic_s: float
    familiar_until_monotonic_s: float


_verified: OrderedDict[bytes, _Verified] = OrderedDict()
_lock = threading.Lock()


def authenticate(text: str) -> Principal:
    """Return whose key ``text`` is. Raises :class:`KeyRefused` and ``StoreError``."""
    if not text:
        raise KeyRefused(Cause.MISSING)
    if len(text) > TEXT_LIMIT or not text.isascii():
        raise KeyRefused(Cause.MALFORMED)
    if _is_environment_key(text):
        return _environment_principal()
    known_as = _known_as(text)
    remembered = _verified.get(known_as)
    if remembered is not None and _still_good(remembered):
        return remembered.principal
    parsed = parse_key(text)
    if parsed is None:
        raise KeyRefused(Cause.MALFORMED)
    try:
        principal = _verify(parsed)
    except KeyRefused:
        _verified.pop(known_as, None)
        raise
    if not principal.provisional:
        _remember(known_as, principal)
    return principal


def is_familiar(text: str) -> bool:
    """Whether ``text`` is a key that lived a short while ago. Asks nothing of the database.

    It is one that this process verified lately, or that stands in this host's copy of the live
    keys. Whoever brings such a key is let in to be verified, whatever its address did.
    """
    if not text or len(text) > TEXT_LIMIT or not text.isascii():
        return False
    if _is_environment_key(text):
        return True
    remembered = _verified.get(_known_as(text))
    if remembered is not None and time.monotonic() < remembered.familiar_until_monotonic_s:
        return True
    parsed = parse_key(text)
    if parsed is None:
        return False
    return find_in_snapshot(parsed.prefix, digests_of(text, known_peppers())) is not None


def _known_as(text: str) -> bytes:
    """Return under what the memory holds a key: a digest, so that no secret stays in it."""
    return hashlib.sha256(text.encode("ascii")).digest()


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
    expires_at_s = remembered.principal.restrictions.expires_at_s
    return expires_at_s is None or time.time() < expires_at_s


def _verify(key: KeyText) -> Principal:
    """Ask the database. Every miss costs the same query and digests, whatever was missing.

    All else that is known of a key is asked for once its secret was the right one: a row that is
    there takes longer to read than one that is not, and would tell which prefixes there are.
    """
    digests = digests_of(key.text, known_peppers())
    found = None
    try:
        (stored,) = store().reads.row(statement("find_digest"), [key.prefix, NO_DIGEST]) or ("",)
        if matches(digests, stored):
            found = store().reads.row(statement("find_key"), [key.prefix])
    except StoreUnavailable:
        known = find_in_snapshot(key.prefix, digests)
        if known is None:
            raise
        # Recognised while the database is away; what it may then do, the gate limits.
        return known
    if found is None or not matches(digests, found[0]):
        raise KeyRefused(Cause.UNKNOWN)
    *columns, suspended, revoked, expires_at_s, now_s = found[1:]
    if revoked:
        raise KeyRefused(Cause.REVOKED)
    if expires_at_s is not None and max(now_s, time.time()) >= expires_at_s:
        raise KeyRefused(Cause.EXPIRED)
    if suspended:
        raise KeyRefused(Cause.SUSPENDED)
    try:
        principal = principal_of(key.prefix, columns, expires_at_s)
    except ValueError as error:
        log.error("a key's restriction cannot be read", key=key.prefix, cause=str(error))
        raise KeyRefused(Cause.UNREADABLE) from error
    _renew_digest(key, stored, digests[0])
    return principal


def _remember(known_as: bytes, principal: Principal) -> None:
    now_s = time.monotonic()
    with _lock:
        _verified[known_as] = _Verified(principal, now_s + settings.KEY_CACHE_S, now_s + FAMILIAR_S)
        _verified.move_to_end(known_as)
        while len(_verified) > CACHE_MOST:
            _verified.popitem(last=False)


def _renew_digest(key: KeyText, stored: str, best: str) -> None:
    """Keep the digest that would be made today, once a key shows that it was made otherwise."""
    if made_with(stored) == made_with(best):
        return
    try:
        store().reads.rows(statement("replace_digest"), [best, key.prefix, stored])
    except StoreError as error:
        log.warning("a key's digest was not renewed", key=key.prefix, cause=str(error))
