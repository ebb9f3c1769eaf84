"""Nobody issues a key that may do more than they may themselves.

What a key's scope allows, a person may do with certain permissions in the portal: who lacks one
of them cannot put that scope into a key. Whoever has the service's account may do everything
already; a key can issue none.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError

from techno.access.terms import Terms
from techno.gate import Governed
from techno.governance.principal import PrincipalKind, Scope

#: What a person needs to do by hand what the scope does. A scope that does not stand here is
#: given out by superusers and by command only.
SCOPE_PERMISSIONS: dict[str, frozenset[str]] = {
    "execute": frozenset({"executor.run_action", "executor.view_output"}),
    "audit:read": frozenset({"audit.view_audittrace"}),
    "diagnostics:read": frozenset(),
    "runs:read": frozenset({"executor.view_commandrun", "executor.view_output"}),
    "runs:read-all": frozenset({"executor.view_commandrun", "executor.view_output"}),
    "runs:cancel": frozenset({"executor.cancel_commandrun"}),
    "approvals:read": frozenset({"executor.view_commandrun"}),
}


def scopes_within_reach(user: Any) -> frozenset[str]:
    """Return the scopes that this person may put into a key."""
    if not user.is_active:
        return frozenset()
    return frozenset(
        scope.value
        for scope in Scope
        if user.is_superuser
        or (
            scope.value in SCOPE_PERMISSIONS
            and user.is_staff
            and all(user.has_perm(name) for name in SCOPE_PERMISSIONS[scope.value])
        )
    )


def check_reach(act: Governed, issuer: Any, terms: Terms) -> None:
    """Raise unless ``act``'s principal may issue a key on these terms.

    ``issuer`` is the person, ``None`` for the terminal's account. Raises ``PermissionDenied``
    for a principal that issues no keys, and ``ValidationError`` naming a scope out of reach.
    """
    if issuer is None:
        if act.principal.kind is not PrincipalKind.SYSTEM:
            raise PermissionDenied("only people and the service's own account issue keys")
        return
    beyond = set(terms.scopes) - scopes_within_reach(issuer)
    if beyond:
        raise ValidationError(
            f"scopes: you may not do {sorted(beyond)[0]} yourself, so no key of yours can."
        )
