"""The address a request really came from."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

#: ``192.0.2.1:443`` and ``[2001:db8::1]:443``; without brackets, IPv6 has no place for a port.
_WITH_PORT = re.compile(r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[^\[\]]*)\]):[0-9]{1,5}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: A longer chain than this is nobody's honest proxy path.
FORWARDED_LIMIT = 32


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse addresses and CIDR ranges. Raises ``ValueError`` naming the one that is neither."""
    return _parsed(tuple(texts))


@lru_cache(maxsize=16)
def _parsed(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Parse once what the settings say: it is asked for with every act of a person."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


@lru_cache(maxsize=4096)
def normalised(text: str) -> str:
    """Return an address in its usual form, IPv4 out of IPv6-mapped; ``""`` if it is none."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """Return the caller's address.

    ``X-Forwarded-For`` counts only when the socket's peer is a trusted proxy, and is read from
    the right: the first address that is not itself a trusted proxy is the caller. Whatever
    stands further left was written by the caller and proves nothing.
    """
    address = normalised(peer)
    if not trusted or not forwarded_for or not _within(address, trusted):
        return address
    for hop in reversed(forwarded_for.split(",")[-FORWARDED_LIMIT:]):
        candidate = normalised(_without_port(hop.strip()))
        if not candidate:
            return address
        address = candidate
        if not _within(address, trusted):
            return address
    return address


def _without_port(hop: str) -> str:
    """Return one address of the chain without the port that some proxies add to it."""
    found = _WITH_PORT.fullmatch(hop)
    return found["v6"] or found["v4"] if found else hop


def _within(address: str, trusted: Sequence[Network]) -> bool:
    if not address:
        return False
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in trusted)
