"""Who decides about a run: a person as the rules of approval see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from executor.requesters import folded

APPROVE_PERMISSION = "executor.approve_run"


@dataclass(frozen=True, slots=True)
class Approver:
    """A person who wants to decide. ``names`` are all by which an owner of keys may be called."""

    username: str
    names: frozenset[str]
    groups: frozenset[str]
    permitted: bool


def approver_of(user: Any) -> Approver:
    """Return ``user`` (of Django) as an approver."""
    return Approver(
        username=user.get_username(),
        names=folded([user.get_username(), user.get_full_name(), user.email]),
        groups=frozenset(user.groups.values_list("name", flat=True)),
        permitted=bool(user.is_active and user.is_staff and user.has_perm(APPROVE_PERMISSION)),
    )
