"""What a key may do, as one value: read from people's texts, compared, kept, told.

Everything that narrows a key stands here, so that issuing, restricting and rotating agree on
what "wider" means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_noop

from techno.access.models import ApiKey
from techno.governance.hours import read_hours
from techno.governance.principal import Scope
from techno.governance.restrictions import (
    ACTION_PATTERN,
    Rate,
    actions_within,
    networks_within,
    read_networks,
)
from techno.governance.trace import iso

RATE_MOST = 1_000_000
WINDOW_MOST_S = 86_400
CONCURRENT_MOST = 1_000
NETWORKS_MOST = 100
ACTIONS_MOST = 1_000
_NAME_RULE = gettext_noop(
    "allowed actions: %(name)s must be 3 to 32 characters of A-Z and underscore, or a pattern in "
    "which * stands for any of them."
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key may do, and until when. ``None`` and ``""`` narrow nothing."""

    scopes: tuple[str, ...]
    actions: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    hours: str = ""
    rate: Rate | None = None
    concurrent: int | None = None
    expires_at: datetime | None = None

    def columns(self) -> dict[str, Any]:
        """Return the terms as the columns of a key."""
        return {
            "scopes": list(self.scopes),
            "allowed_actions": None if self.actions is None else list(self.actions),
            "allowed_networks": None if self.networks is None else list(self.networks),
            "allowed_hours": self.hours,
            "rate_requests": self.rate.requests if self.rate else None,
            "rate_window_s": self.rate.window_s if self.rate else 60,
            "concurrent_most": self.concurrent,
            "expires_at": self.expires_at,
        }

    def told(self) -> dict[str, str | int | None]:
        """Return the terms as an audit row tells them."""
        return {
            "scopes": " ".join(self.scopes),
            "actions": None if self.actions is None else " ".join(self.actions),
            "networks": None if self.networks is None else " ".join(self.networks),
            "hours": self.hours or None,
            "rate": str(self.rate) if self.rate else None,
            "concurrent": self.concurrent,
            "expires_at": iso(self.expires_at) if self.expires_at else None,
        }


def terms_of(key: ApiKey) -> Terms:
    """Return the terms under which ``key`` stands."""
    return Terms(
        scopes=tuple(key.scopes),
        actions=None if key.allowed_actions is None else tuple(key.allowed_actions),
        networks=None if key.allowed_networks is None else tuple(key.allowed_networks),
        hours=key.allowed_hours,
        rate=Rate(key.rate_requests, key.rate_window_s) if key.rate_requests else None,
        concurrent=key.concurrent_most,
        expires_at=key.expires_at,
    )


def read_terms(
    *,
    scopes: Iterable[str],
    allowed_actions: Iterable[str] | None = None,
    allowed_networks: Iterable[str] | None = None,
    allowed_hours: str = "",
    rate: Rate | None = None,
    concurrent: int | None = None,
    expires_at: datetime | None = None,
) -> Terms:
    """Return the terms that were asked for. Raises ``ValidationError`` naming field and rule."""
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError(gettext_noop("expires: the time must lie in the future."))
    return Terms(
        scopes=check_scopes(scopes),
        actions=check_actions(allowed_actions),
        networks=check_networks(allowed_networks),
        hours=check_hours(allowed_hours),
        rate=check_rate(rate),
        concurrent=check_concurrent(concurrent),
        expires_at=expires_at,
    )


def longest_end() -> datetime:
    """Return the latest time at which a key that is issued now may end."""
    return timezone.now() + timedelta(days=settings.KEY_LIFETIME_MOST_DAYS)


def widened(old: Terms, new: Terms) -> list[str]:
    """Return in which of its terms ``new`` allows anything that ``old`` does not."""
    rates = old.rate is None or (
        new.rate is not None
        and new.rate.requests <= old.rate.requests
        and new.rate.per_s <= old.rate.per_s
    )
    within = {
        "scopes": set(new.scopes) <= set(old.scopes),
        "actions": old.actions is None
        or (new.actions is not None and actions_within(new.actions, old.actions)),
        "networks": old.networks is None
        or (
            new.networks is not None
            and networks_within(read_networks(new.networks), read_networks(old.networks))
        ),
        "hours": not old.hours
        or (bool(new.hours) and read_hours(new.hours).within(read_hours(old.hours))),
        "rate": rates,
        "concurrent": old.concurrent is None
        or (new.concurrent is not None and new.concurrent <= old.concurrent),
        "expires": old.expires_at is None
        or (new.expires_at is not None and new.expires_at <= old.expires_at),
    }
    return [name for name, holds in within.items() if not holds]


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes in their usual order. Raises ``ValidationError`` for an unknown one."""
    given = set(scopes)
    unknown = given.difference(scope.value for scope in Scope)
    if unknown:
        known = ", ".join(scope.value for scope in Scope)
        raise ValidationError(f"scopes: {sorted(unknown)[0]!r} is not one of {known}.")
    if not given:
        raise ValidationError("scopes: a key needs at least one.")
    return tuple(scope.value for scope in Scope if scope.value in given)


def check_actions(actions: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the allowed actions, ``None`` for all. Raises ``ValidationError`` for a bad name."""
    names = tuple(dict.fromkeys(actions or ()))
    for name in names:
        least = 1 if "*" in name else 3
        if ACTION_PATTERN.fullmatch(name) is None or len(name) < least:
            raise ValidationError(_NAME_RULE, params={"name": repr(name)})
    if len(names) > ACTIONS_MOST:
        raise ValidationError(f"allowed actions: there may be {ACTIONS_MOST} at most.")
    return names or None


def check_networks(networks: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the networks in their usual form, ``None`` for all. Raises ``ValidationError``."""
    texts = tuple(dict.fromkeys(networks or ()))
    if len(texts) > NETWORKS_MOST:
        raise ValidationError(f"allowed networks: there may be {NETWORKS_MOST} at most.")
    try:
        return tuple(str(network) for network in read_networks(texts)) or None
    except ValueError as error:
        raise ValidationError(f"allowed networks: {error}.") from error


def check_hours(hours: str) -> str:
    """Return the hours in their usual form, ``""`` for all. Raises ``ValidationError``."""
    if not hours.strip():
        return ""
    try:
        return read_hours(hours).text
    except ValueError as error:
        raise ValidationError(f"allowed {error}.") from error


def check_rate(rate: Rate | None) -> Rate | None:
    """Return the rate. Raises ``ValidationError`` when it is out of bounds."""
    if rate is None:
        return None
    if not (1 <= rate.requests <= RATE_MOST and 1 <= rate.window_s <= WINDOW_MOST_S):
        raise ValidationError(
            f"rate: 1 to {RATE_MOST} requests in 1 to {WINDOW_MOST_S} seconds are possible."
        )
    return rate


def check_concurrent(concurrent: int | None) -> int | None:
    """Return how many requests may be under way. Raises ``ValidationError``."""
    if concurrent is not None and not 1 <= concurrent <= CONCURRENT_MOST:
        raise ValidationError(f"requests at once: 1 to {CONCURRENT_MOST} are possible.")
    return concurrent
