"""What a provider's claims give, and what they never give."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from django.test import RequestFactory

from techno.people.adapters.single_sign_on import claimed_groups, keep_groups, mapping
from tests.people.conftest import rows
from tests.portal.making import person

PAIRS = ["ops=operator", " sec = auditor ", "chiefs=administrator"]


@pytest.fixture(autouse=True)
def mapped(settings: Any) -> None:
    settings.OIDC_GROUPS = PAIRS
    settings.OIDC_GROUPS_CLAIM = "groups"


def test_pairs_map_theirs_to_ours() -> None:
    assert mapping(PAIRS) == {"ops": "operator", "sec": "auditor", "chiefs": "administrator"}


@pytest.mark.parametrize(
    ("claim", "groups"),
    [
        (["ops"], {"operator"}),
        (["ops", "sec", "ops"], {"operator", "auditor"}),
        ("sec", {"auditor"}),
        (["operator", "administrator", "OPS", "ops "], set()),
        ([], set()),
        (None, set()),
        ({"ops": True}, set()),
        ([["ops"], 7, None], set()),
        (7, set()),
    ],
)
def test_only_mapped_groups_are_given(claim: Any, groups: set[str]) -> None:
    assert claimed_groups({"groups": claim, "roles": ["chiefs"]}) == groups


@pytest.mark.usefixtures("database")
def test_what_the_claim_no_longer_says_is_taken_and_the_rest_left() -> None:
    request = RequestFactory().get("/account/", REMOTE_ADDR="192.0.2.90")
    request.user = AnonymousUser()
    user = person()
    own, _made = Group.objects.get_or_create(name="a group of our own")
    user.groups.add(own)
    keep_groups(request, user, {"operator", "auditor"})
    assert _names(user) == {"a group of our own", "operator", "auditor"}
    keep_groups(request, user, {"auditor"})
    keep_groups(request, user, {"auditor"})
    assert _names(user) == {"a group of our own", "auditor"}
    told = [row.detail for row in rows(action="user.change", detail__of=user.username)]
    assert [(one["before.groups"], one["after.groups"]) for one in told] == [
        ("", "auditor, operator"),
        ("auditor, operator", "auditor"),
    ]


def _names(user: Any) -> set[str]:
    return set(user.groups.values_list("name", flat=True))
