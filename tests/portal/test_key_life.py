"""A key's life in the portal: tightened, paused, followed by its next version; each with a row."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditTrace
from techno.access.authenticate import Cause, KeyRefused, authenticate
from techno.access.issue import IssuedKey, issue_key
from techno.access.models import ApiKey
from techno.governance.restrictions import Rate
from tests.portal.making import client_of, person, unique

KEY = re.compile(r"techno_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")
ADD = reverse("admin:access_apikey_add")
ACTS = ("restrict", "rotate", "suspend", "resume", "revoke")


@pytest.fixture
def issued(database: None, settings: Any) -> IssuedKey:
    settings.KEY_CACHE_S = 0
    return issue_key(
        label=unique("label"),
        scopes=["execute", "audit:read"],
        allowed_networks=["192.0.2.0/24"],
        rate=Rate(100, 60),
    )


def page_of(key: ApiKey, act: str = "change") -> str:
    return reverse(f"admin:access_apikey_{act}", args=[key.pk])


def form_of(client: Client, path: str) -> dict[str, Any]:
    """What a browser would send if nothing was changed on the page."""
    html = client.get(path).content.decode()
    inputs = r'<input type="(?:text|number|datetime-local)" name="(\w+)"(?: value="([^"]*)")?'
    fields: dict[str, Any] = dict(re.findall(inputs, html))
    fields |= dict(re.findall(r'<textarea name="(\w+)"[^>]*>\s*([^<]*)</textarea>', html))
    for name, value in re.findall(
        r'<input type="checkbox" name="(\w+)" value="([^"]*)"[^>]* checked', html
    ):
        fields.setdefault(name, []).append(value)
    if 'name="overlap_h"' in html:
        fields["overlap_h"] = "24"
    return fields


def row_of(key: ApiKey, action: str) -> AuditTrace:
    """The one audit row of that act on that key."""
    found: AuditTrace = AuditTrace.objects.get(action=action, detail__key=key.prefix)
    assert found.principal_kind == "person"
    assert found.status == "APPROVED"
    return found


def test_a_key_is_restricted_with_what_was_and_what_is(
    admin_client: Client, issued: IssuedKey
) -> None:
    path = page_of(issued.key, "restrict")
    form = form_of(admin_client, path) | {"scopes": ["execute"], "rate_requests": "10"}
    assert admin_client.post(path, form).status_code == 302
    key = ApiKey.objects.get(pk=issued.key.pk)
    assert (key.scopes, key.rate_requests, key.allowed_networks) == (
        ["execute"], 10, ["192.0.2.0/24"],
    )  # fmt: skip
    detail = row_of(key, "key.restrict").detail
    assert (detail["before.scopes"], detail["after.scopes"]) == ("execute audit:read", "execute")
    assert (detail["before.rate"], detail["after.rate"]) == ("100/60s", "10/60s")
    assert "before.networks" not in detail


@pytest.mark.parametrize(
    "wider",
    [
        {"scopes": ["execute", "audit:read", "diagnostics:read"]},
        {"allowed_networks": "192.0.0.0/16"},
        {"allowed_networks": ""},
        {"rate_requests": "101"},
        {"rate_requests": ""},
        {"rate_window_s": "59"},
        {"expires_at": "2099-01-01T00:00"},
    ],
)
def test_nothing_is_widened(admin_client: Client, issued: IssuedKey, wider: dict[str, Any]) -> None:
    path = page_of(issued.key, "restrict")
    before = ApiKey.objects.values().get(pk=issued.key.pk)
    answer = admin_client.post(path, form_of(admin_client, path) | wider)
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert ApiKey.objects.values().get(pk=issued.key.pk) == before
    assert not AuditTrace.objects.filter(detail__key=issued.key.prefix, action="key.restrict")


def test_a_key_pauses_and_goes_on(admin_client: Client, issued: IssuedKey) -> None:
    suspend, resume = page_of(issued.key, "suspend"), page_of(issued.key, "resume")
    assert suspend in admin_client.get(page_of(issued.key)).content.decode()
    assert admin_client.post(suspend).status_code == 200  # asks first
    authenticate(issued.text)
    assert admin_client.post(suspend, {"confirmed": "yes"}).status_code == 302
    with pytest.raises(KeyRefused) as refused:
        authenticate(issued.text)
    assert refused.value.cause is Cause.SUSPENDED
    assert resume in admin_client.get(page_of(issued.key)).content.decode()
    assert admin_client.post(resume, {"confirmed": "yes"}).status_code == 302
    authenticate(issued.text)
    detail = row_of(issued.key, "key.suspend").detail
    assert (detail["before.state"], detail["after.state"]) == ("live", "suspended")
    row_of(issued.key, "key.resume")


def test_the_next_version_lives_beside_the_old_one_for_a_while(
    admin_client: Client, issued: IssuedKey
) -> None:
    path = page_of(issued.key, "rotate")
    answer = admin_client.post(path, form_of(admin_client, path))
    assert {"no-store", "private"} <= set(answer["Cache-Control"].split(", "))
    (text,) = set(KEY.findall(answer.content.decode()))
    old = ApiKey.objects.get(pk=issued.key.pk)
    new = ApiKey.objects.get(prefix=text.split("_")[1])
    assert (new.version, new.lineage, new.label) == (2, old.prefix, old.label)
    assert (new.scopes, new.allowed_networks, new.rate_requests) == (
        old.scopes, old.allowed_networks, old.rate_requests,
    )  # fmt: skip
    assert authenticate(text).identity == new.prefix
    assert authenticate(issued.text).identity == old.prefix
    assert old.expires_at is not None
    assert timedelta(hours=23) < old.expires_at - timezone.now() <= timedelta(days=1)
    detail = row_of(new, "key.rotate").detail
    assert detail["old_key"] == old.prefix
    assert text.split("_")[2] not in str(detail)
    assert new.prefix in admin_client.get(page_of(old)).content.decode()
    # The old version cannot be followed by another one.
    assert "errorlist" in admin_client.post(path, form_of(admin_client, path)).content.decode()


def test_the_next_version_may_be_wider_for_those_who_may_issue_it(
    admin_client: Client, issued: IssuedKey
) -> None:
    path = page_of(issued.key, "rotate")
    form = form_of(admin_client, path) | {"allowed_networks": "", "overlap_h": "0"}
    (text,) = set(KEY.findall(admin_client.post(path, form).content.decode()))
    assert authenticate(text).restrictions.networks is None
    with pytest.raises(KeyRefused):
        authenticate(issued.text)
    new = ApiKey.objects.get(prefix=text.split("_")[1])
    assert "networks" in row_of(new, "key.rotate").detail["widened"].split()


@pytest.mark.parametrize("act", ACTS)
def test_each_act_needs_its_permission(issued: IssuedKey, act: str) -> None:
    needed = "access.add_apikey" if act == "rotate" else "access.change_apikey"
    others = {"access.view_apikey", "access.add_apikey", "access.change_apikey"} - {needed}
    client = client_of(person(*others))
    before = ApiKey.objects.values().get(pk=issued.key.pk)
    for method in (client.get, client.post):
        assert method(page_of(issued.key, act), {"confirmed": "yes"}).status_code == 403
    assert ApiKey.objects.values().get(pk=issued.key.pk) == before
    html = client.get(page_of(issued.key)).content.decode()
    assert page_of(issued.key, act) not in html


@pytest.mark.usefixtures("database")
def test_nobody_issues_a_key_wider_than_what_they_may_do() -> None:
    """Neither by the form, which does not offer it, nor by what is sent besides."""
    manager = person("access.add_apikey", "access.view_apikey", "audit.view_audittrace")
    client = client_of(manager)
    html = client.get(ADD).content.decode()
    assert 'value="audit:read"' in html
    assert 'value="execute"' not in html
    label = unique("label")
    form = {"label": label, "scopes": ["audit:read", "execute"]}
    assert "errorlist" in client.post(ADD, form).content.decode()
    assert not ApiKey.objects.filter(label=label).exists()
    assert KEY.search(client.post(ADD, form | {"scopes": ["audit:read"]}).content.decode())
    wider = issue_key(label=unique("label"), scopes=["execute"])
    path = page_of(wider.key, "rotate")
    answer = client.post(path, {"scopes": ["execute"], "overlap_h": "24", "rate_window_s": "60"})
    assert not KEY.search(answer.content.decode())


def test_keys_that_end_soon_are_told_of(admin_client: Client, issued: IssuedKey) -> None:
    for days, told in {13: "ends within 14 days", 6: "ends within 7 days", 0.5: "1 day"}.items():
        ends = timezone.now() + timedelta(days=days)
        ApiKey.objects.filter(pk=issued.key.pk).update(expires_at=ends)
        html = admin_client.get(page_of(issued.key)).content.decode()
        assert told in html
    # The first page lists the most urgent ones only, and this is among them.
    assert issued.key.prefix in admin_client.get(reverse("admin:index")).content.decode()


def test_describing_a_key_leaves_its_row(admin_client: Client, issued: IssuedKey) -> None:
    form = {"label": issued.key.label, "owner": "somebody else", "purpose": "tests"}
    assert admin_client.post(page_of(issued.key), form).status_code == 302
    detail = row_of(issued.key, "key.describe").detail
    assert (detail["before.owner"], detail["after.owner"]) == ("", "somebody else")
