"""What somebody who has just logged in sees: on the first day, and on every other."""

from __future__ import annotations

import os
import re
from contextlib import closing

import pytest
from django.test import Client
from django.urls import reverse

from techno.database.current import store
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from tests.portal.making import client_of, person, record, unique
from tests.portal.outside import sign_in
from tests.service import Services

INDEX = reverse("admin:index")


def test_what_was_not_approved_is_listed_newest_first(admin_client: Client) -> None:
    names = [unique("older"), unique("approved"), unique("newer")]
    record(refuse(ReasonCode.E0_NONZERO_EXIT), action=names[0])
    record(action=names[1])
    record(refuse(ReasonCode.G9_ACTION_DISABLED), action=names[2])
    html = admin_client.get(INDEX).content.decode()
    assert names[1] not in html
    assert html.index(names[2]) < html.index(names[0])
    assert html.count('class="badge blocked"') + html.count('class="badge warning"') <= 12


@pytest.mark.usefixtures("database")
def test_only_what_one_may_see_is_there() -> None:
    assert "may not see anything yet" in client_of(person()).get(INDEX).content.decode()
    html = client_of(person("executor.view_commandrun")).get(INDEX).content.decode()
    assert "Running now" in html
    assert "Not approved" not in html


def test_a_store_that_this_process_holds_to_be_away_is_told(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "PostgreSQL does not answer this process."
    assert told not in admin_client.get(INDEX).content.decode()
    # As after `trip`, but without the thread that would find the server well again at once.
    monkeypatch.setattr(store().circuit, "_cause", "no answer <within> 2 s")
    monkeypatch.setattr(store().circuit, "_pid", os.getpid())
    html = admin_client.get(INDEX).content.decode()
    assert told in html
    assert "no answer &lt;within&gt; 2 s" in html
    assert told not in Client().get(reverse("admin:login")).content.decode()


@pytest.mark.slow
def test_on_the_first_day_every_list_says_what_to_do_next(start_service: Services) -> None:
    with start_service() as service, closing(sign_in(service)) as browser:
        # The first key has left its row before anybody asked for anything.
        assert "key.issue" in browser.get("/admin/audit/audittrace/").text
        assert "Nothing: whatever was asked was approved." in browser.get("/admin/").text
        assert "No command has run yet." in browser.get("/admin/executor/commandrun/").text
        assert "viewer" in browser.get("/admin/auth/group/").text  # the release's roles
        with service.client() as console:
            console.post("/api/execute", json={"command": "GET_STATUS"})
        page = browser.get("/admin/").text
        assert "Nothing: whatever was asked was approved." in page
        listed = browser.get("/admin/executor/commandrun/").text
        assert len(re.findall(r'data-copy="run_\w+"', listed)) == 1
