"""Who stands behind a request: may they still ask for it, and who may not decide about it?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from django.contrib.auth import get_user_model
from django.utils.translation import gettext_noop

from executor.requests import RunRequest
from techno.access.standing import key_standing
from techno.gate import decide_scope
from techno.governance.principal import Principal, PrincipalKind, Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import Verdict, refuse

RUN_PERMISSION = "executor.run_action"


def folded(names: Iterable[str]) -> frozenset[str]:
    """Return names as they are compared: an owner is typed by hand, in whichever case."""
    return frozenset(name.strip().casefold() for name in names if name and name.strip())


def people_behind(principal: Principal, request: RunRequest) -> frozenset[str]:
    """Return the names of the people whose own request this is, as :func:`folded`.

    A person is behind their own; a key's owner and issuer are behind what the key asks for;
    ``request.on_behalf_of`` names who stands behind a schedule. Nobody is known behind the
    environment's key.
    """
    names = set(request.on_behalf_of)
    if principal.kind is PrincipalKind.PERSON:
        names.add(principal.identity)
    elif principal.kind is PrincipalKind.API_KEY:
        standing = key_standing(principal.identity)
        names |= standing.people if standing else frozenset()
    return folded(names)


def principal_now(principal: Principal) -> Principal | Verdict:
    """Return a principal as it stands now, or the refusal of one that may not run any more.

    For what was asked for earlier and starts later: a key that was revoked meanwhile starts
    nothing. What is neither key nor person stands as it stood.
    """
    if principal.kind is PrincipalKind.API_KEY:
        return key_now(principal.identity)
    if principal.kind is PrincipalKind.PERSON:
        return _person_now(principal)
    return principal


def key_now(prefix: str) -> Principal | Verdict:
    standing = key_standing(prefix)
    if standing is None or standing.principal is None:
        state = standing.state if standing else "unknown"
        return refuse(
            ReasonCode.G0_AUTH_NOT_CONFIGURED,
            http_status=200,
            message=f"The key {prefix} that asked for this is {state}.",
        )
    scope = decide_scope(standing.principal, Scope.EXECUTE)
    return standing.principal if scope.approved else replace(scope, http_status=200)


def _person_now(principal: Principal) -> Principal | Verdict:
    user = get_user_model().objects.filter(username=principal.identity).first()
    if user is None or not user.is_active or not user.has_perm(RUN_PERMISSION):
        return refuse(
            ReasonCode.G2_SCOPE_DENIED,
            http_status=200,
            message=gettext_noop("The person who asked for this may not run actions any more."),
        )
    return principal
