"""No page shows a secret of a key but the one that issues it, whichever page somebody gets to."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from techno.access.change import suspend_key
from techno.access.issue import issue_key
from techno.access.rotate import rotate_key
from tests.portal.making import record, unique

PAGES_MOST = 120


@pytest.mark.slow
def test_no_page_of_the_portal_shows_a_secret(admin_client: Client) -> None:
    """Every page that can be reached from the first one, with keys in all states."""
    issued = [issue_key(label=unique("label"), scopes=["execute"]) for _ in range(3)]
    suspend_key(issued[1].key.prefix)
    issued.append(rotate_key(issued[2].key.prefix))
    for each in issued:
        record(action="key.used", session_id=unique("session"))
        assert each.text
    hidden = [each.text.split("_")[2] for each in issued]
    waiting, seen = [reverse("admin:index")], set()
    waiting += [reverse("admin:access_apikey_change", args=[each.key.pk]) for each in issued]
    while waiting and len(seen) < PAGES_MOST:
        path = waiting.pop(0)
        if path in seen or "logout" in path:
            continue
        seen.add(path)
        response = admin_client.get(path)
        if response.status_code != 200 or response.streaming:
            continue
        html = response.content.decode(errors="replace")
        assert not any(secret in html for secret in hidden), path
        waiting += [
            link.replace("&amp;", "&") for link in re.findall(r'href="(/admin/[^"#]*)"', html)
        ]
    assert len(seen) > 20
