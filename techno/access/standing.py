"""How a key stands that is not at hand: may what was asked or planned with it still be done?"""

from __future__ import annotations

from dataclasses import dataclass

from techno.access.known_key import principal_of
from techno.access.models import ApiKey
from techno.governance.principal import Principal


@dataclass(frozen=True, slots=True)
class KeyStanding:
    """A key as it is now. ``principal`` is ``None`` unless ``state`` is ``live``.

    ``people`` are the names of those who answer for it: its owner, and who issued it.
    """

    state: str
    label: str
    principal: Principal | None
    people: frozenset[str]


def key_standing(prefix: str) -> KeyStanding | None:
    """Return how the key ``prefix`` stands; ``None`` when there is none."""
    key = ApiKey.objects.select_related("created_by").filter(prefix=prefix).first()
    if key is None:
        return None
    names = {key.owner, key.created_by_name}
    if key.created_by is not None:
        names.add(key.created_by.get_username())
    return KeyStanding(
        key.state,
        key.label,
        _principal(key) if key.state == "live" else None,
        frozenset(name for name in names if name),
    )


def _principal(key: ApiKey) -> Principal | None:
    """Return who the key is; ``None`` where its restrictions cannot be read: then nobody."""
    columns = (
        *(key.label, key.scopes, key.allowed_actions, key.allowed_networks, key.allowed_hours),
        *(key.rate_requests, key.rate_window_s, key.concurrent_most),
    )
    expires_at_s = key.expires_at.timestamp() if key.expires_at else None
    try:
        return principal_of(key.prefix, columns, expires_at_s)
    except ValueError:
        return None
