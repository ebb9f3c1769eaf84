"""Actions that need approval, people who decide, and keys that ask: each test has its own."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import Group, Permission, User

from executor.models import Action
from executor.ran import Ran
from executor.requests import RunRequest
from executor.runs import execute
from techno.access.issue import issue_key
from techno.access.models import ApiKey
from techno.gate import begin, conclude
from techno.governance.principal import Principal, PrincipalKind, Scope

LETTERS = "ABCDEFGHIJKLMNOP"


def new_action(**fields: Any) -> Action:
    """Register an action that needs one approval."""
    name = "APPROVE_" + "".join(LETTERS[int(digit, 16)] for digit in uuid.uuid4().hex[:16])
    usual = {"name": name, "argv": ["/bin/true"], "approvals_needed": 1}
    return Action.objects.create(**(usual | fields))


def staff(*groups: str, permitted: bool = True, **fields: Any) -> User:
    """Make somebody who may decide and run, in these groups."""
    user = User.objects.create(
        username=f"staff_{uuid.uuid4().hex[:10]}", is_staff=True, password="!", **fields
    )
    for name in groups:
        user.groups.add(Group.objects.get_or_create(name=name)[0])
    if permitted:
        for codename in ("approve_run", "run_action"):
            user.user_permissions.add(Permission.objects.get(codename=codename))
    return User.objects.get(pk=user.pk)


def key(**fields: Any) -> Principal:
    """Issue a key and return who it is."""
    issuer = fields.pop("created_by", None)
    made: ApiKey = issue_key(label="a console", scopes=["execute"], **fields).key
    if issuer is not None:
        ApiKey.objects.filter(pk=made.pk).update(created_by=issuer)
    return Principal(PrincipalKind.API_KEY, made.prefix, made.label, frozenset({Scope.EXECUTE}))


def ask(principal: Principal, wanted: Action, reason: str = "because") -> tuple[str, Ran]:
    """Ask for a run as a console does; return its execution id and what was answered."""
    governed = begin(method="POST", path="/api/execute")
    governed.principal = principal
    ran = execute(governed, RunRequest(wanted.name, reason=reason))
    conclude(governed, ran.verdict)
    return governed.execution_id or "", ran
