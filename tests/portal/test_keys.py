"""Keys in the portal: issued by the one factory, shown once, ended for good."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from techno.access.authenticate import Cause, KeyRefused, authenticate
from techno.access.issue import IssuedKey, issue_key
from techno.access.models import ApiKey
from techno.governance.principal import Scope
from tests.portal.making import client_of, person, unique

LIST = reverse("admin:access_apikey_changelist")
ADD = reverse("admin:access_apikey_add")
KEY = re.compile(r"techno_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")


def page_of(key: ApiKey) -> str:
    return reverse("admin:access_apikey_change", args=[key.pk])


def revoke_page_of(key: ApiKey) -> str:
    return reverse("admin:access_apikey_revoke", args=[key.pk])


def issued_by(client: Client, **fields: Any) -> str:
    """Issue a key by the form and return its text."""
    form = {"label": unique("label"), "scopes": ["execute", "audit:read"], **fields}
    found = KEY.findall(client.post(ADD, form).content.decode())
    assert found
    return str(found[0])


@pytest.fixture
def issued(database: None) -> IssuedKey:
    return issue_key(label=unique("label"), scopes=["execute"])


def test_an_issued_key_works_and_is_what_was_asked_for(admin_client: Client) -> None:
    expires = (timezone.now() + timedelta(days=3)).replace(microsecond=0)
    text = issued_by(
        admin_client, owner="somebody", allowed_actions=["GET_STATUS"], expires_at=expires
    )
    principal = authenticate(text)
    assert principal.scopes == {Scope.EXECUTE, Scope.AUDIT_READ}
    assert principal.allowed_actions == {"GET_STATUS"}
    key = ApiKey.objects.get(prefix=principal.identity)
    assert (key.owner, key.expires_at, key.state) == ("somebody", expires, "live")
    assert key.created_by is not None
    assert key.created_by_name == key.created_by.get_username()


def test_the_secret_is_in_one_answer_and_nowhere_else(
    admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    response = admin_client.post(ADD, {"label": unique("label"), "scopes": ["execute"]})
    assert response.status_code == 200
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    (text,) = set(KEY.findall(response.content.decode()))
    secret = text.split("_")[2]
    key = ApiKey.objects.get(prefix=text.split("_")[1])
    assert secret not in str(response.headers) + str(response.cookies)
    everywhere = [session.get_decoded() for session in Session.objects.all()]
    everywhere += list(LogEntry.objects.values()) + list(ApiKey.objects.values())
    assert secret not in str(everywhere) + caplog.text
    for path in (LIST, ADD, page_of(key), reverse("admin:index")):
        page = admin_client.get(path)
        assert secret not in page.content.decode() + str(page.headers)
    entry = LogEntry.objects.get(
        object_id=str(key.pk), content_type=ContentType.objects.get_for_model(ApiKey)
    )
    assert (entry.is_addition(), entry.object_repr) == (True, str(key))


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""},
        {"label": "   "},
        {"label": "x" * 101},
        {"scopes": []},
        {"scopes": ["everything"]},
        {"allowed_actions": ["no such"]},
        {"expires_at": "2020-01-01T00:00"},
        {"expires_at": "soon"},
    ],
)
def test_what_breaks_a_rule_issues_nothing(admin_client: Client, fields: dict[str, Any]) -> None:
    owner = unique("owner")
    form = {"label": "x", "owner": owner, "scopes": ["execute"], **fields}
    response = admin_client.post(ADD, form)
    assert response.status_code == 200
    html = response.content.decode()
    assert "errorlist" in html
    assert not KEY.search(html)
    assert not ApiKey.objects.filter(owner=owner).exists()


@pytest.mark.usefixtures("database")
def test_issuing_needs_the_permission() -> None:
    client = client_of(person("access.view_apikey", "access.change_apikey"))
    assert "/add/" not in client.get(LIST).content.decode()
    label = unique("label")
    for response in (client.get(ADD), client.post(ADD, {"label": label, "scopes": ["execute"]})):
        assert response.status_code == 403
    assert not ApiKey.objects.filter(label=label).exists()


def test_only_the_texts_for_people_can_be_changed(admin_client: Client, issued: IssuedKey) -> None:
    before = ApiKey.objects.values().get(pk=issued.key.pk)
    forged = {
        "label": "another",
        "owner": "another",
        "scopes": ["audit:read"],
        "allowed_actions": "[]",
        "expires_at": "2099-01-01T00:00",
        "revoked_at": "2020-01-01T00:00",
        "prefix": "AAAAAAAA",
        "digest": "x",
    }
    assert admin_client.post(page_of(issued.key), forged).status_code == 302
    after = ApiKey.objects.values().get(pk=issued.key.pk)
    assert after == before | {"label": "another", "owner": "another"}


def test_the_button_asks_first_and_then_ends_the_key(
    admin_client: Client, issued: IssuedKey
) -> None:
    path = revoke_page_of(issued.key)
    assert path in admin_client.get(page_of(issued.key)).content.decode()
    for response in (admin_client.get(path), admin_client.post(path)):
        assert issued.key.label in response.content.decode()
    assert ApiKey.objects.get(pk=issued.key.pk).state == "live"
    assert admin_client.post(path, {"confirmed": "yes"}).status_code == 302
    with pytest.raises(KeyRefused) as refused:
        authenticate(issued.text)
    assert refused.value.cause is Cause.REVOKED
    assert path not in admin_client.get(page_of(issued.key)).content.decode()
    revoked_at = ApiKey.objects.get(pk=issued.key.pk).revoked_at
    admin_client.post(path, {"confirmed": "yes"})
    assert ApiKey.objects.get(pk=issued.key.pk).revoked_at == revoked_at


def test_several_keys_are_ended_from_the_list_after_asking(admin_client: Client) -> None:
    keys = [issue_key(label=unique("label"), scopes=["execute"]).key for _ in range(2)]
    chosen = {"action": "revoke_selected", "_selected_action": [key.pk for key in keys]}
    asked = admin_client.post(LIST, chosen)
    assert "Revoke these keys?" in asked.content.decode()
    assert {ApiKey.objects.get(pk=key.pk).state for key in keys} == {"live"}
    done = admin_client.post(LIST, {**chosen, "confirmed": "yes"}, follow=True)
    assert "2 keys are revoked." in done.content.decode()
    assert {ApiKey.objects.get(pk=key.pk).state for key in keys} == {"revoked"}


def test_revoking_needs_the_permission(issued: IssuedKey) -> None:
    client = client_of(person("access.view_apikey", "access.add_apikey"))
    chosen = {"action": "revoke_selected", "_selected_action": [issued.key.pk]}
    assert "revoke_selected" not in client.get(LIST).content.decode()
    client.post(LIST, {**chosen, "confirmed": "yes"})
    for method in (client.get, client.post):
        assert method(revoke_page_of(issued.key), {"confirmed": "yes"}).status_code == 403
    assert ApiKey.objects.get(pk=issued.key.pk).state == "live"


@pytest.mark.parametrize("state", ["live", "expired", "revoked"])
def test_the_list_narrows_to_a_state(admin_client: Client, state: str) -> None:
    owner = unique("owner")
    made = {
        name: issue_key(label=unique(name), owner=owner, scopes=["execute"]).key
        for name in ("live", "expired", "revoked")
    }
    past = timezone.now() - timedelta(days=1)
    ApiKey.objects.filter(pk=made["expired"].pk).update(expires_at=past)
    ApiKey.objects.filter(pk=made["revoked"].pk).update(revoked_at=past, expires_at=past)
    html = admin_client.get(LIST, {"state": state, "q": owner}).content.decode()
    assert [name for name, key in made.items() if key.prefix in html] == [state]


def test_a_hostile_label_is_text(admin_client: Client) -> None:
    key = issue_key(label=f"<script>x</script>\u202e{unique('x')}", scopes=["execute"]).key
    suggested = reverse("admin:audit_audittrace_changelist")
    for path in (f"{LIST}?q={key.prefix}", page_of(key), revoke_page_of(key), suggested):
        html = admin_client.get(path).content.decode()
        assert "<script>x" not in html
        assert "&lt;script&gt;x" in html
        assert "⟦U+202E⟧" in html
        editable = html.count(f'value="{escape(key.label)}"')  # where it can be put right
        assert html.count("\u202e") == editable == (path == page_of(key))
