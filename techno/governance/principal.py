"""Who asks: the value that authentication makes and the gate reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from techno.governance.restrictions import NONE, Restrictions, matches_pattern


class Scope(enum.StrEnum):
    """What a key may be issued for. ``<noun>:<verb>``, or one word for the one thing it does."""

    EXECUTE = "execute"
    AUDIT_READ = "audit:read"
    DIAGNOSTICS_READ = "diagnostics:read"
    RUNS_READ = "runs:read"
    RUNS_READ_ALL = "runs:read-all"
    RUNS_CANCEL = "runs:cancel"
    APPROVALS_READ = "approvals:read"


class PrincipalKind(enum.StrEnum):
    """Which sort of caller a trace names."""

    ANONYMOUS = "anonymous"
    ENVIRONMENT_KEY = "environment_key"
    API_KEY = "api_key"
    PERSON = "person"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller, or the anonymous one.

    ``identity`` is stable for the caller's life and never secret (a key's public prefix, a user
    name); ``label`` is what people call it. ``allowed_actions`` of ``None`` means every action;
    otherwise those and whatever fits ``action_patterns``. ``restrictions`` narrow the rest.
    ``provisional`` callers were recognised while the database was away, from a local copy of
    the keys; they may ask for diagnostics and nothing else.
    """

    kind: PrincipalKind
    identity: str
    label: str = ""
    scopes: frozenset[Scope] = field(default_factory=frozenset)
    allowed_actions: frozenset[str] | None = None
    provisional: bool = False
    action_patterns: tuple[str, ...] = ()
    restrictions: Restrictions = NONE

    def has_scope(self, scope: Scope) -> bool:
        """Whether this caller was given ``scope``."""
        return scope in self.scopes

    def may_run(self, action: str) -> bool:
        """Whether this caller may run ``action`` (an action's name)."""
        return (
            self.allowed_actions is None
            or action in self.allowed_actions
            or matches_pattern(action, self.action_patterns)
        )

    @property
    def key_prefix(self) -> str:
        """The public prefix of the caller's key; empty for callers without one."""
        return self.identity if self.kind in _KEYED else ""


_KEYED = frozenset({PrincipalKind.API_KEY, PrincipalKind.ENVIRONMENT_KEY})

ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, "anonymous")
