"""Being asked once more before a change, and needing a second factor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from techno.people import second_factor
from techno.people.models import GroupRule
from tests.people.conftest import PASSWORD, rows
from tests.portal.making import client_of, person, prove, unique

pytestmark = pytest.mark.usefixtures("database")
GROUPS = reverse("admin:auth_group_add")
ASKS = reverse("account_reauthenticate")
OLD_S = 1_000.0


def boss() -> User:
    user = person(superuser=True)
    user.password = make_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def insisting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that others reach."""
    second_factor.insists.cache_clear()
    monkeypatch.setattr(second_factor, "loopback_only", lambda: False)
    yield
    second_factor.insists.cache_clear()


def test_a_change_waits_for_proof_and_then_goes_on() -> None:
    user = boss()
    browser = client_of(user)
    name = unique("group")
    prove(browser, user, ago_s=OLD_S)
    asked = browser.post(GROUPS, {"name": name})
    assert asked["Location"].startswith(ASKS)
    assert not Group.objects.filter(name=name).exists()
    wrong = browser.post(asked["Location"], {"password": "wrong"})
    assert wrong.status_code == 200
    assert not Group.objects.filter(name=name).exists()
    browser.post(asked["Location"], {"password": PASSWORD})
    assert Group.objects.filter(name=name).exists()
    (row,) = rows(action="group.add", principal_label=user.username)
    assert row.detail["of"] == name


def test_reading_is_not_asked_for_proof_and_adding_is() -> None:
    user = boss()
    browser = client_of(user)
    prove(browser, user, ago_s=OLD_S)
    for page in ("admin:index", "admin:auth_user_changelist", "admin:access_apikey_changelist"):
        assert browser.get(reverse(page)).status_code == 200
    for page in ("admin:access_apikey_add", "admin:executor_action_add", "admin:auth_user_add"):
        assert browser.get(reverse(page))["Location"].startswith(ASKS)


def test_a_form_with_a_password_is_not_put_by() -> None:
    user = boss()
    browser = client_of(user)
    prove(browser, user, ago_s=OLD_S)
    form = {"username": unique("x"), "password1": "s3cret marker", "password2": "s3cret marker"}
    assert browser.post(reverse("admin:auth_user_add"), form)["Location"].startswith(ASKS)
    assert "s3cret marker" not in str(dict(browser.session))


def test_who_has_neither_password_nor_factor_signs_in_anew() -> None:
    user = person(superuser=True)
    user.set_unusable_password()
    user.save()
    browser = client_of(user)
    prove(browser, user, ago_s=OLD_S)
    asked = browser.post(GROUPS, {"name": unique("group")})
    assert asked["Location"].startswith(reverse("account_login"))
    assert browser.get("/admin/").status_code == 302


def test_stopping_a_run_is_never_asked_for_proof() -> None:
    user = boss()
    browser = client_of(user)
    prove(browser, user, ago_s=OLD_S)
    cancel = reverse("admin:executor_commandrun_cancel", args=["run_nothing"])
    assert browser.post(cancel, {"reason": "x"}).status_code == 404


def test_a_reachable_service_insists_on_a_second_factor(insisting: None) -> None:
    browser = client_of(boss())
    setting_up = reverse("mfa_index")
    for page in ("admin:index", "admin:access_apikey_changelist", "admin:auth_user_add"):
        assert browser.get(reverse(page))["Location"] == setting_up
    assert browser.post(GROUPS, {"name": "x"})["Location"] == setting_up
    assert browser.get(setting_up).status_code == 200
    assert browser.get(reverse("account_overview")).status_code == 200


def test_who_can_do_no_harm_needs_none_unless_a_group_asks(insisting: None) -> None:
    user = person("audit.view_audittrace")
    browser = client_of(user)
    assert browser.get("/admin/").status_code == 200
    group = Group.objects.create(name=unique("careful"))
    GroupRule.objects.create(group=group, requires_mfa=True)
    user.groups.add(group)
    assert browser.get("/admin/")["Location"] == reverse("mfa_index")


def test_a_service_of_this_machine_only_advises(client: Client) -> None:
    second_factor.insists.cache_clear()
    page = client_of(boss()).get("/admin/").content.decode()
    assert "has no second factor" in page
    harmless = client_of(person("audit.view_audittrace")).get("/admin/").content.decode()
    assert "has no second factor" not in harmless


@pytest.mark.parametrize(
    ("host", "proxies", "https", "alone"),
    [
        ("127.0.0.1", [], False, True),
        ("::1", [], False, True),
        ("localhost", [], False, True),
        ("0.0.0.0", [], False, False),
        ("10.0.0.5", [], False, False),
        ("127.0.0.1", ["127.0.0.1"], False, False),
        ("127.0.0.1", [], True, False),
    ],
)
def test_what_counts_as_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, host: str, proxies: list[str], https: bool, alone: bool
) -> None:
    from django.conf import settings

    from techno import env

    monkeypatch.setattr(env, "HOST", host)
    monkeypatch.setattr(settings, "TRUSTED_PROXIES", proxies)
    monkeypatch.setattr(settings, "BEHIND_HTTPS", https)
    assert second_factor.loopback_only() is alone
