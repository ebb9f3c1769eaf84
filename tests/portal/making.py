"""People, and rows to look at. Nothing is rolled back: every test finds its own by unique names."""

from __future__ import annotations

import time
import uuid
from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from executor.models import CommandRun
from techno.gate import begin, conclude
from techno.governance.principal import ANONYMOUS, Principal
from techno.governance.verdict import APPROVED, Verdict


def unique(name: str) -> str:
    """Return a name that no other test has."""
    return f"{name}_{uuid.uuid4().hex[:10]}"


def person(*permissions: str, superuser: bool = False) -> User:
    """Make a member of staff with these permissions (``app.codename``)."""
    user = User.objects.create(
        username=unique("person"), is_staff=True, is_superuser=superuser, password="!"
    )
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return user


def client_of(user: User) -> Client:
    """Return a browser in which ``user`` has just signed in with their password."""
    client = Client()
    client.force_login(user)
    prove(client, user)
    return client


def prove(client: Client, user: User, *, ago_s: float = 0.0) -> None:
    """Have ``user`` prove who they are so many seconds ago, and never since."""
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "password", "at": time.time() - ago_s}
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()


def record(
    verdict: Verdict = APPROVED,
    *,
    action: str = "execute",
    principal: Principal = ANONYMOUS,
    session_id: str = "",
    execution_id: str | None = None,
    **detail: Any,
) -> str:
    """Record a trace as the gate does, and return its id."""
    governed = begin(
        method="POST",
        path="/api/execute",
        client_address="192.0.2.7",
        user_agent="agent <i>",
        session_id=session_id,
    )
    governed.action, governed.principal = action, principal
    governed.execution_id, governed.detail = execution_id, detail
    conclude(governed, verdict)
    return governed.trace.trace_id


def make_run(**fields: Any) -> CommandRun:
    """Keep a run that has ended, with ``fields`` in place of the usual."""
    trace_id = uuid.uuid4()
    usual: dict[str, Any] = {
        "execution_id": f"run_{trace_id.hex}",
        "trace_id": trace_id,
        "action": "GET_STATUS",
        "argv": ["/bin/true"],
        "state": "ended",
        "status": "APPROVED",
        "principal_kind": "api_key",
        "timeout_s": 15,
        "requested_at": timezone.now(),
        "duration_ms": 12,
        "exit_code": 0,
        "host": "testing",
        "worker": "1",
    }
    return CommandRun.objects.create(**(usual | fields))
