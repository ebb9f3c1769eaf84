"""Issuing and revoking keys. Whoever does it, in the portal or by command, comes here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from techno.access.key_format import digest_of, make_key
from techno.access.models import ApiKey
from techno.governance.principal import Scope

ACTION_NAME = re.compile(r"[A-Z_]{3,32}")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its only showing. ``text`` is the secret."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"IssuedKey(prefix={self.key.prefix!r})"


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the scopes in their usual order. Raises ``ValidationError`` for an unknown one."""
    given = set(scopes)
    unknown = given.difference(scope.value for scope in Scope)
    if unknown:
        known = ", ".join(scope.value for scope in Scope)
        raise ValidationError(f"scopes: {sorted(unknown)[0]!r} is not one of {known}.")
    if not given:
        raise ValidationError("scopes: a key needs at least one.")
    return [scope.value for scope in Scope if scope.value in given]


def check_actions(actions: Iterable[str] | None) -> list[str] | None:
    """Return the allowed actions, ``None`` for all. Raises ``ValidationError`` for a bad name."""
    names = list(dict.fromkeys(actions or ()))
    for name in names:
        if ACTION_NAME.fullmatch(name) is None:
            raise ValidationError(
                f"allowed actions: {name!r} must be 3 to 32 characters of A-Z and underscore."
            )
    return names or None


def issue_key(
    *,
    label: str,
    scopes: Iterable[str],
    allowed_actions: Iterable[str] | None = None,
    owner: str = "",
    expires_at: datetime | None = None,
    created_by: Any = None,
) -> IssuedKey:
    """Make and keep a new key. Raises ``ValidationError`` naming the field and the rule."""
    if not label.strip():
        raise ValidationError("label: a key needs a name by which people know it.")
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError("expires: the time must lie in the future.")
    made = make_key()
    key = ApiKey(
        prefix=made.prefix,
        digest=digest_of(made.text),
        label=label.strip(),
        owner=owner.strip(),
        scopes=check_scopes(scopes),
        allowed_actions=check_actions(allowed_actions),
        expires_at=expires_at,
        created_by=created_by,
        created_by_name=created_by.get_username() if created_by is not None else "",
    )
    key.full_clean(exclude=["created_by"])
    key.save(force_insert=True)
    return IssuedKey(key, made.text)


def revoke_key(prefix: str) -> ApiKey:
    """End a key for good; a key that was revoked before keeps its first date.

    Raises ``ApiKey.DoesNotExist``.
    """
    ApiKey.objects.filter(prefix=prefix, revoked_at__isnull=True).update(revoked_at=timezone.now())
    return ApiKey.objects.get(prefix=prefix)
