"""What narrows a caller beyond its scopes: actions, networks, hours, rate, concurrency.

Read once when a key is looked up, then asked with every request; each question is answered
without looking at anything but the caller's own values. Texts that cannot be read raise
``ValueError`` with a sentence that names the rule.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from techno.governance.hours import Hours

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
ACTION_PATTERN = re.compile(r"[A-Z_*]{1,32}")
_NAME = "[A-Z_]*"
CACHED_MOST = 4096


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds, as a bucket: full at first, refilled evenly."""

    requests: int
    window_s: int

    @property
    def per_s(self) -> float:
        """How many requests come back each second."""
        return self.requests / self.window_s

    def __str__(self) -> str:
        return f"{self.requests}/{self.window_s}s"


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Everything that narrows a caller; ``None`` where nothing does."""

    networks: tuple[Network, ...] | None = None
    hours: Hours | None = None
    rate: Rate | None = None
    concurrent: int | None = None
    expires_at_s: float | None = None

    def admits_address(self, address: str) -> bool:
        """Whether a caller from ``address`` is let in; one without an address is not."""
        return self.networks is None or _within(address, self.networks)


NONE = Restrictions()


@lru_cache(maxsize=CACHED_MOST)
def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    parsed = mapped or parsed
    return any(parsed.version == network.version and parsed in network for network in networks)


@lru_cache(maxsize=CACHED_MOST)
def read_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Read addresses and networks. Raises ``ValueError`` naming the one that is neither.

    An IPv4 network written as IPv4-mapped IPv6 is the IPv4 network: that is the form in which
    callers' addresses come.
    """
    return tuple(_network(text) for text in texts)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text.strip(), strict=True)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no network: write 192.0.2.0/24, 2001:db8::/32 or one address, "
            "with no bits set beyond the mask"
        ) from error
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def networks_within(inner: Sequence[Network], outer: Sequence[Network]) -> bool:
    """Whether every address of ``inner`` lies in ``outer``."""
    return all(_covered(network, outer) for network in inner)


def _covered(network: Network, outer: Sequence[Network]) -> bool:
    same = [other for other in outer if other.version == network.version]
    merged = ipaddress.collapse_addresses(same)  # type: ignore[type-var]
    return any(network.subnet_of(other) for other in merged)  # type: ignore[arg-type]


# -- actions ---------------------------------------------------------------------------------------


def is_pattern(text: str) -> bool:
    """Whether an allowed action is a pattern: ``*`` in it stands for any characters, or none."""
    return "*" in text


@lru_cache(maxsize=CACHED_MOST)
def _matcher(patterns: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = ("".join(_NAME if sign == "*" else sign for sign in text) for text in patterns)
    return re.compile("|".join(alternatives))


def matches_pattern(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether the action ``name`` fits one of ``patterns``."""
    return bool(patterns) and _matcher(patterns).fullmatch(name) is not None


def actions_within(inner: Iterable[str], outer: Sequence[str]) -> bool:
    """Whether all that ``inner`` allows, ``outer`` allows too.

    Said only where it is certain: a pattern lies within one that matches its text, its stars
    taken for a letter that stands for everything a star may be.
    """
    known = set(outer)
    patterns = tuple(text for text in outer if is_pattern(text))
    return all(text in known or any(_pattern_within(text, one) for one in patterns)
               for text in inner)  # fmt: skip


def _pattern_within(inner: str, outer: str) -> bool:
    """Whether ``outer`` matches ``inner`` with a star of ``inner`` matched by stars only."""
    expression = "".join(r"[A-Z_*]*" if sign == "*" else sign for sign in outer)
    return re.fullmatch(expression, inner) is not None
