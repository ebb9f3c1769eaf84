"""A stored key as a principal: one reading for the database's row and for this host's copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from techno.governance.hours import read_hours
from techno.governance.principal import Principal, PrincipalKind, Scope
from techno.governance.restrictions import Rate, Restrictions, is_pattern, read_networks

_SCOPES = {scope.value: scope for scope in Scope}
#: The columns, in the order of ``find_key.sql`` and ``live_keys.sql``, that make a principal.
COLUMNS = (
    *("label", "scopes", "actions", "networks", "hours"),
    *("rate_requests", "rate_window_s", "concurrent"),
)


def principal_of(
    prefix: str, columns: Sequence[Any], expires_at_s: float | None, *, provisional: bool = False
) -> Principal:
    """Return the principal of a key from its ``COLUMNS``.

    Raises ``ValueError`` for a restriction that cannot be read: then nobody gets in by that key,
    rather than by a key without it.
    """
    label, scopes, actions, networks, hours, requests, window_s, concurrent = columns
    names = None if actions is None else frozenset(filter(lambda it: not is_pattern(it), actions))
    return Principal(
        PrincipalKind.API_KEY,
        prefix,
        str(label),
        frozenset(_SCOPES[scope] for scope in scopes if scope in _SCOPES),
        names,
        provisional,
        tuple(filter(is_pattern, actions or ())),
        Restrictions(
            networks=None if networks is None else read_networks(tuple(networks)),
            hours=read_hours(hours) if hours else None,
            rate=Rate(requests, window_s) if requests else None,
            concurrent=concurrent,
            expires_at_s=expires_at_s,
        ),
    )
