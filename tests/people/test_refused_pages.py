"""Pages that were refused to somebody: on record, once a minute, and never to a stranger."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from prometheus_client import REGISTRY

from audit.recorder import AuditUnavailable
from techno.access import refused_minutes
from tests.people.conftest import PASSWORD, counted, rows, stay_within_a_minute
from tests.portal.making import client_of, person

pytestmark = pytest.mark.usefixtures("database")
PEOPLE = reverse("admin:auth_user_changelist")
LOGIN = reverse("account_login")


def _told(user: User) -> list[Any]:
    return rows(action="page.open", principal_label=user.username)


def test_a_refused_page_leaves_one_row_a_minute() -> None:
    user = person()
    browser = client_of(user)
    stay_within_a_minute()
    for _ in range(3):
        assert browser.get(PEOPLE, {"q": "a secret"}, REMOTE_ADDR="192.0.2.90").status_code == 403
    (row,) = _told(user)
    assert (row.status, row.reason_codes, row.http_status) == ("BLOCKED", ["G2_scope_denied"], 403)
    assert (row.path, row.method, row.user_ip) == (PEOPLE, "GET", "192.0.2.90")
    assert row.detail == {"page": "admin:auth_user_changelist"}
    assert counted(row) == 2
    browser.get(reverse("admin:auth_group_changelist"))
    assert [each.detail["page"] for each in _told(user)][1:] == ["admin:auth_group_changelist"]


def test_going_through_numbers_leaves_one_row() -> None:
    user, others = person(), [person() for _ in range(3)]
    browser = client_of(user)
    stay_within_a_minute()
    for other in others:
        path = reverse("admin:auth_user_change", args=[other.pk])
        assert browser.get(path).status_code == 403
    (row,) = _told(user)
    assert (row.path, counted(row)) == (reverse("admin:auth_user_change", args=[others[0].pk]), 2)


def test_a_form_without_its_token_is_on_record() -> None:
    user = person()
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(reverse("account_logout")).status_code == 403
    (row,) = _told(user)
    assert (row.method, row.detail["page"]) == ("POST", "account_logout")


def test_strangers_leave_no_row_of_pages() -> None:
    before = len(rows(action="page.open"))
    browser = Client(enforce_csrf_checks=True)
    assert browser.post(LOGIN, {"login": "x", "password": PASSWORD}).status_code == 403
    assert browser.get(PEOPLE).status_code == 302
    assert len(rows(action="page.open")) == before


def test_without_a_row_the_refusal_itself_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*args: Any, **kwargs: Any) -> None:
        raise AuditUnavailable("neither PostgreSQL nor the journal")

    monkeypatch.setattr(refused_minutes, "conclude", cannot)
    answer = client_of(person()).get(PEOPLE)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


def test_refused_sign_ins_are_counted() -> None:
    def count() -> float:
        name = "techno_sign_ins_refused_total"
        return REGISTRY.get_sample_value(name, {"wrong": "password"}) or 0.0

    before = count()
    Client().post(LOGIN, {"login": "nobody", "password": "wrong"}, REMOTE_ADDR="192.0.2.91")
    assert count() == before + 1
