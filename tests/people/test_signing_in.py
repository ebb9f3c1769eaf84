"""The one door: passwords, limits, what is on record, and how long it stays open."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import identify_hasher, make_password
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from techno.people.session_life import BEGAN, SEEN
from tests.people.conftest import PASSWORD, counted, rows, stay_within_a_minute
from tests.portal.making import client_of, person, unique

pytestmark = pytest.mark.usefixtures("database")
LOGIN = reverse("account_login")


def somebody(**fields: Any) -> User:
    user = person()
    user.password = make_password(PASSWORD)
    for name, value in fields.items():
        setattr(user, name, value)
    user.save()
    return user


def attempt(name: str, password: str, address: str = "192.0.2.50") -> Any:
    return Client().post(LOGIN, {"login": name, "password": password}, REMOTE_ADDR=address)


def test_signing_in_and_out_is_on_record() -> None:
    user, browser = somebody(), Client()
    form = {"login": user.username, "password": PASSWORD}
    assert browser.post(LOGIN, form, REMOTE_ADDR="192.0.2.51")["Location"] == "/admin/"
    (row,) = rows(action="person.sign_in", principal_label=user.username)
    assert (row.status, row.user_ip, row.detail["second_factor"]) == (
        "APPROVED",
        "192.0.2.51",
        False,
    )
    browser.post(reverse("account_logout"))
    (row,) = rows(action="person.sign_out", principal_label=user.username)
    assert row.detail == {"by_itself": False}
    assert browser.get("/admin/").status_code == 302


def test_a_wrong_password_is_on_record_and_a_name_that_nobody_has_is_not() -> None:
    user = somebody()
    for name in (user.username, "pasted password 123"):
        assert attempt(name, "wrong", "192.0.2.52").status_code == 200
    known, unknown = rows(action="person.sign_in", user_ip="192.0.2.52")
    assert (known.status, known.reason_codes) == ("BLOCKED", ["G0_auth_not_configured"])
    assert known.detail == {"failed": "password", "name": user.username}
    assert unknown.detail == {"failed": "password", "name": None}


def test_attempts_are_limited_and_the_refused_ones_leave_one_row() -> None:
    user = somebody()
    stay_within_a_minute()
    for _attempt in range(9):
        answer = attempt(user.username, "wrong", "192.0.2.53")
    assert "Too many failed login attempts" in answer.content.decode()
    told = rows(action="person.sign_in", user_ip="192.0.2.53")
    codes = [["G0_auth_not_configured"]] * 5 + [["G13_rate_limited"]]
    assert [row.reason_codes for row in told] == codes
    assert told[-1].detail == {"failed": "too many attempts", "together": "192.0.2.53"}
    assert counted(told[-1]) == 3
    refused = attempt(user.username, PASSWORD, "192.0.2.53")
    assert refused.status_code == 200  # the right password does not help now


@pytest.mark.slow
def test_an_address_that_asks_all_the_time_gets_429() -> None:
    codes = {attempt(unique("x"), "y", "192.0.2.54").status_code for _ in range(40)}
    assert codes == {200, 429}
    assert len(rows(action="person.sign_in", user_ip="192.0.2.54")) <= 12


def test_only_active_staff_gets_in() -> None:
    for fields in ({"is_staff": False}, {"is_active": False}):
        user = somebody(**fields)
        answer = attempt(user.username, PASSWORD, "192.0.2.55")
        assert answer["Location"] == reverse("account_inactive")
    told = {row.detail["failed"] for row in rows(action="person.sign_in", user_ip="192.0.2.55")}
    assert told == {"inactive"}


@pytest.mark.slow
def test_hashes_of_an_older_kind_become_argon2_at_the_next_sign_in() -> None:
    user = somebody(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
    assert attempt(user.username, PASSWORD).status_code == 302
    user.refresh_from_db()
    assert identify_hasher(user.password).algorithm == "argon2"


def test_nobody_can_sign_up_or_ask_for_a_new_password() -> None:
    for path in ("signup/", "password/reset/", "email/", "3rdparty/", "sso/signup/"):
        assert Client().get(f"/account/{path}").status_code == 404
    page = Client().get(LOGIN).content.decode()
    assert "sign up" not in page.lower()
    assert "Forgot" not in page


def test_the_door_leads_nowhere_else() -> None:
    user = somebody()
    for back in ("https://evil.example.org/", "//evil.example.org/", "javascript:alert(1)"):
        form = {"login": user.username, "password": PASSWORD, "next": back}
        assert Client().post(LOGIN, form)["Location"] == "/admin/"


@pytest.mark.parametrize(("which", "ago_s"), [(SEEN, 1_900), (BEGAN, 29_000)])
def test_a_session_ends_when_it_was_idle_or_is_old(which: str, ago_s: int) -> None:
    user = somebody()
    browser = client_of(user)
    session = browser.session
    session[which] = time.time() - ago_s
    session.save()
    assert browser.get("/admin/").status_code == 302
    (row,) = rows(action="person.sign_out", principal_label=user.username)
    assert row.detail == {"by_itself": True}


def test_a_session_in_use_goes_on() -> None:
    browser = client_of(somebody())
    session = browser.session
    session[SEEN] = time.time() - 120
    session.save()
    assert browser.get("/admin/").status_code == 200
    assert time.time() - browser.session[SEEN] < 60


def test_sessions_are_seen_and_ended_by_their_owner_only() -> None:
    user, other = somebody(), somebody()
    browsers = []
    for each in (user, user, other):
        browser = Client(HTTP_USER_AGENT=f"browser {len(browsers)}")
        browser.post(LOGIN, {"login": each.username, "password": PASSWORD})
        browsers.append(browser)
    mine, second, theirs = browsers
    page = mine.get(reverse("usersessions_list")).content.decode()
    assert "browser 0" in page
    assert "browser 1" in page
    assert "browser 2" not in page
    from allauth.usersessions.models import UserSession

    foreign = UserSession.objects.get(user=other)
    assert mine.post(reverse("account_end_session", args=[foreign.pk])).status_code == 404
    own = UserSession.objects.get(user=user, user_agent="browser 1")
    assert mine.post(reverse("account_end_session", args=[own.pk])).status_code == 302
    assert second.get("/admin/").status_code == 302
    assert theirs.get("/admin/").status_code == 200
    (row,) = rows(action="session.end", principal_label=user.username)
    assert row.detail["of"] == user.username


def test_changing_the_password_is_on_record_without_it() -> None:
    user = somebody()
    browser = client_of(user)
    new = "another long phrase of words"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert browser.post(reverse("account_change_password"), form).status_code == 302
    (row,) = rows(action="person.change_password", principal_label=user.username)
    assert row.detail == {}
    user.refresh_from_db()
    assert user.check_password(new)
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize("sent", ['{"id": "x"}', "[1]", '{"response": {"userHandle": "MQ"}}'])
def test_a_passkey_that_is_refused_is_on_record(sent: str) -> None:
    address = f"192.0.2.{60 + len(sent)}"
    answer = Client().post(reverse("mfa_login_webauthn"), {"credential": sent}, REMOTE_ADDR=address)
    assert answer["Location"] == LOGIN
    (row,) = rows(action="person.sign_in", user_ip=address)
    assert row.detail == {"failed": "second factor", "name": None}


@pytest.mark.parametrize(
    "sent",
    [
        "[1]",
        '"text"',
        '{"id": "x"}',
        '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {}}',
        '{"id": "AA", "rawId": "AA", "type": "public-key",'
        ' "response": {"clientDataJSON": "AA", "attestationObject": "AA"}}',
        '{"id": "AA", "rawId": "AA", "type": "public-key",'
        ' "response": {"clientDataJSON": "e30", "attestationObject": "oA"}}',
        '{"id": "AA", "rawId": "AA", "type": "public-key",'
        ' "response": {"clientDataJSON": [], "attestationObject": {}}}',
    ],
)
def test_a_passkey_that_is_none_is_not_added(sent: str) -> None:
    user = somebody()
    browser = client_of(user)
    page = reverse("mfa_add_webauthn")
    assert browser.get(page).status_code == 200  # which also begins the ceremony
    answer = browser.post(page, {"name": "mine", "credential": sent})
    assert answer.status_code == 200
    assert "Incorrect code" in answer.content.decode()
    assert not Authenticator.objects.filter(user=user).exists()
