"""People of a running service, signed in without typing: their browsers, for tests from outside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import httpx

from tests.service import Service

TIMEOUT_S = 30.0
_TOKEN = "t" * 32
_MAKE = """
import json, time
from importlib import import_module
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import Group, Permission, User
made = {}
for name, wanted in %r.items():
    user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
    for group in wanted["groups"]:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    for codename in wanted["permissions"]:
        user.user_permissions.add(Permission.objects.get(codename=codename))
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time()}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    made[name] = session.session_key
print(json.dumps(made))
"""


def browsers(
    service: Service,
    people: Iterable[str],
    *,
    permissions: Iterable[str],
    groups: Mapping[str, Iterable[str]] | None = None,
) -> dict[str, httpx.Client]:
    """Make staff with these permissions and return the browsers in which they are signed in."""
    wanted = {
        name: {"permissions": list(permissions), "groups": list((groups or {}).get(name, ()))}
        for name in people
    }
    printed = service.manage("shell", "-v", "0", "-c", _MAKE % wanted).stdout
    sessions: dict[str, str] = json.loads(printed.splitlines()[-1])
    return {name: _browser(service, session) for name, session in sessions.items()}


def _browser(service: Service, session: str) -> httpx.Client:
    cookies = {"sessionid": session, "csrftoken": _TOKEN}
    return httpx.Client(base_url=service.url, cookies=cookies, timeout=TIMEOUT_S)


def send(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send a form, following to the page that comes after it."""
    form = {"csrfmiddlewaretoken": _TOKEN, **fields}
    return browser.post(path, data=form, follow_redirects=True)
