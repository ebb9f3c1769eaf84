"""Issuing keys. Whoever does it, in the portal or by command, comes here.

Each act of a key's life takes the governed act of whoever does it, and ends it with its row;
without one it is the terminal's account that acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_noop

from techno.access.key_format import digest_of, make_key
from techno.access.models import ApiKey
from techno.access.peppers import current_pepper
from techno.access.reach import check_reach
from techno.access.terms import Terms, longest_end, read_terms
from techno.acts import governed_command, recorded_change
from techno.gate import Governed
from techno.governance.restrictions import Rate


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its only showing. ``text`` is the secret."""

    key: ApiKey
    text: str = field(repr=False)


def issue_key(
    *,
    label: str,
    scopes: Iterable[str],
    allowed_actions: Iterable[str] | None = None,
    allowed_networks: Iterable[str] | None = None,
    allowed_hours: str = "",
    rate: Rate | None = None,
    concurrent: int | None = None,
    expires_at: datetime | None = None,
    owner: str = "",
    purpose: str = "",
    created_by: Any = None,
    act: Governed | None = None,
) -> IssuedKey:
    """Make and keep a new key, which ends at the latest when the longest lifetime is over.

    ``created_by`` is the person who issues it, who can give it nothing that they may not do
    themselves. Raises ``ValidationError`` naming the field and the rule.
    """
    act = act or governed_command("key.issue")
    terms = ending_in_time(
        read_terms(
            scopes=scopes,
            allowed_actions=allowed_actions,
            allowed_networks=allowed_networks,
            allowed_hours=allowed_hours,
            rate=rate,
            concurrent=concurrent,
            expires_at=expires_at,
        )
    )
    if not label.strip():
        raise ValidationError("label: a key needs a name by which people know it.")
    check_reach(act, created_by, terms)
    described = {"label": label.strip(), "owner": owner.strip(), "purpose": purpose.strip()}
    with recorded_change(act, "key.issue") as detail:
        issued = keep_new_key(terms, described, created_by)
        detail.update(told_of(issued.key, terms))
    return issued


def ending_in_time(terms: Terms) -> Terms:
    """Return the terms with an end, which no key goes without. Raises ``ValidationError``."""
    last = longest_end()
    if terms.expires_at is None:
        return replace(terms, expires_at=last)
    if terms.expires_at > last:
        raise ValidationError(
            gettext_noop("expires: no key may live longer than %(days)s days."),
            params={"days": settings.KEY_LIFETIME_MOST_DAYS},
        )
    return terms


def keep_new_key(
    terms: Terms, described: dict[str, str], created_by: Any, *, after: ApiKey | None = None
) -> IssuedKey:
    """Make a key and keep it; ``after`` is the version that it follows.

    Belongs into a recorded change. Raises ``ValidationError``.
    """
    made = make_key()
    key = ApiKey(
        prefix=made.prefix,
        digest=digest_of(made.text, current_pepper()),
        lineage=after.lineage or after.prefix if after else made.prefix,
        version=after.version + 1 if after else 1,
        **described,
        **terms.columns(),
        created_by=created_by,
        created_by_name=created_by.get_username() if created_by is not None else "",
    )
    key.full_clean(exclude=["created_by"])
    key.save(force_insert=True)
    return IssuedKey(key, made.text)


def told_of(key: ApiKey, terms: Terms) -> dict[str, str | int | bool | None]:
    """Return how an audit row tells of a key: which, and everything that it may do."""
    told = {f"after.{name}": value for name, value in terms.told().items() if value is not None}
    return {"key": key.prefix, "label": key.label, "version": key.version, **told}
