"""What narrows a key: networks, hours, patterns; and that tightening is told from widening."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from techno.access.reach import SCOPE_PERMISSIONS
from techno.access.terms import Terms, read_terms, widened
from techno.governance.hours import DAYS, read_hours
from techno.governance.principal import Principal, PrincipalKind, Scope
from techno.governance.restrictions import (
    Rate,
    Restrictions,
    actions_within,
    matches_pattern,
    networks_within,
    read_networks,
)

NAMES = st.text("AB_", min_size=1, max_size=6)
PATTERNS = st.text("AB_*", min_size=1, max_size=6)
NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
        lambda it: str(ipaddress.ip_network((it[0], it[1]), strict=False))
    ),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)).map(
        lambda it: str(ipaddress.ip_network((it[0], it[1]), strict=False))
    ),
)


# -- networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("networks", "address", "admitted"),
    [
        (["192.0.2.0/24"], "192.0.2.9", True),
        (["192.0.2.0/24"], "192.0.3.9", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["::ffff:192.0.2.0/120"], "192.0.2.9", True),
        (["::/0"], "192.0.2.9", False),
        (["2001:db8::/32"], "2001:db8:1::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "unix:", False),
    ],
)
def test_addresses(networks: list[str], address: str, admitted: bool) -> None:
    given_ = Restrictions(networks=read_networks(tuple(networks)))
    assert given_.admits_address(address) is admitted


def test_without_networks_everybody_is_admitted() -> None:
    assert Restrictions().admits_address("")


@given(st.lists(NETWORKS, max_size=4), st.lists(NETWORKS, max_size=4), st.data())
def test_networks_within_others_admit_nobody_else(
    inner: list[str], outer: list[str], data: st.DataObject
) -> None:
    mine, theirs = read_networks(tuple(inner)), read_networks(tuple(outer))
    if not mine or not networks_within(mine, theirs):
        return
    network = data.draw(st.sampled_from(mine))
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    address = str(network.network_address + offset)
    assert Restrictions(networks=theirs).admits_address(address)


@given(st.lists(NETWORKS, min_size=1, max_size=4))
def test_networks_lie_within_themselves(texts: list[str]) -> None:
    networks = read_networks(tuple(texts))
    assert networks_within(networks, networks)


def test_two_halves_are_the_whole() -> None:
    halves = read_networks(("192.0.2.0/25", "192.0.2.128/25"))
    assert networks_within(read_networks(("192.0.2.0/24",)), halves)


@pytest.mark.parametrize("text", ["192.0.2.1/24", "300.0.0.0/8", "example.org", "", "1.2.3.4/33"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        read_networks((text,))


# -- actions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("GET_*", "GET_STATUS", True),
        ("GET_*", "GET_", True),
        ("GET_*", "FORGET_ME", False),
        ("*", "ANYTHING", True),
        ("*_STATUS", "GET_STATUS", True),
        ("G*S", "GS", True),
        ("G*S", "GSX", False),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches_pattern(name, (pattern,)) is fits
    principal = Principal(
        PrincipalKind.API_KEY, "x", allowed_actions=frozenset(), action_patterns=(pattern,)
    )
    assert principal.may_run(name) is fits


@given(st.lists(PATTERNS, max_size=3), st.lists(PATTERNS, max_size=3), NAMES)
def test_actions_within_others_allow_nothing_else(
    inner: list[str], outer: list[str], name: str
) -> None:
    def allows(texts: list[str]) -> bool:
        return name in texts or matches_pattern(name, tuple(t for t in texts if "*" in t))

    if actions_within(inner, outer) and allows(inner):
        assert allows(outer)


# -- hours -----------------------------------------------------------------------------------------


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("hours", "moment", "zone", "allowed"),
    [
        ("mon-fri 08:00-18:00", "2026-11-25T08:00", "UTC", True),  # a Wednesday
        ("mon-fri 08:00-18:00", "2026-11-25T07:59:59", "UTC", False),
        ("mon-fri 08:00-18:00", "2026-11-25T17:59:59", "UTC", True),
        ("mon-fri 08:00-18:00", "2026-11-25T18:00", "UTC", False),
        ("mon-fri 08:00-18:00", "2026-11-28T12:00", "UTC", False),
        ("mon-fri 08:00-18:00, sat 09:00-12:00", "2026-11-28T11:00", "UTC", True),
        ("fri-mon 22:00-06:00", "2026-11-24T05:59", "UTC", True),  # into Tuesday
        ("fri-mon 22:00-06:00", "2026-11-24T06:00", "UTC", False),
        ("sun 22:00-06:00", "2026-11-30T05:00", "UTC", True),  # over the week's end
        ("daily 00:00-24:00", "2026-11-30T00:00", "UTC", True),
        ("daily 08:00-18:00 America/Sao_Paulo", "2026-11-25T08:00", "America/Sao_Paulo", True),
        ("daily 08:00-18:00 America/Sao_Paulo", "2026-11-25T10:59", "UTC", False),
        # On the night on which clocks go forward, what counts is what they show.
        ("daily 02:30-03:30 Europe/Lisbon", "2026-03-29T02:15", "UTC", True),
        ("daily 01:00-02:00 Europe/Lisbon", "2026-03-29T01:30", "UTC", False),
    ],
)
def test_hours(hours: str, moment: str, zone: str, allowed: bool) -> None:
    assert read_hours(hours).allow(at(moment, zone)) is allowed


@pytest.mark.parametrize(
    "text",
    [
        *("", "mon", "08:00-18:00", "mon 8-18", "mon 08:00-08:00", "mon 24:00-06:00"),
        *("mon 25:00-26:00", "mon 08:60-09:00", "xyz 08:00-09:00", "mon 08:00-09:00,"),
        *("mon 08:00-09:00 Nowhere/Land", "mon 08:00-09:00 ../../etc/passwd"),
        "mon-fri-sat 1:00-2:00",
    ],
)  # fmt: skip
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        read_hours(text)


SPANS = st.tuples(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(1, 1440)).map(
    lambda it: f"{it[0]} {it[1] // 60:02}:{it[1] % 60:02}-{it[2] // 60:02}:{it[2] % 60:02}"
)
HOURS = st.lists(SPANS, min_size=1, max_size=3).map(", ".join)


def read_or_none(text: str) -> Any:
    try:
        return read_hours(text)
    except ValueError:
        return None


@given(HOURS, HOURS, st.integers(0, 7 * 1440 - 1))
def test_hours_within_others_allow_nothing_else(inner: str, outer: str, minute: int) -> None:
    mine, theirs = read_or_none(inner), read_or_none(outer)
    if mine is None or theirs is None:
        return
    assert mine == read_hours(mine.text)  # what is kept reads the same
    moment = (datetime(2026, 11, 23, tzinfo=UTC) + timedelta(minutes=minute)).timestamp()
    if mine.within(theirs) and mine.allow(moment):
        assert theirs.allow(moment)
    assert mine.within(mine)


# -- terms -----------------------------------------------------------------------------------------

NARROW = Terms(
    scopes=("execute",),
    actions=("GET_*", "TRUE"),
    networks=("192.0.2.0/24",),
    hours=read_hours("mon-fri 08:00-18:00").text,
    rate=Rate(100, 60),
    concurrent=4,
    expires_at=datetime(2030, 1, 1, tzinfo=UTC),
)


def with_(**changed: Any) -> Terms:
    return Terms(**({name: getattr(NARROW, name) for name in NARROW.__slots__} | changed))


@pytest.mark.parametrize(
    ("changed", "wider"),
    [
        ({}, []),
        ({"actions": ("GET_STATUS",), "networks": ("192.0.2.7/32",), "concurrent": 1}, []),
        ({"actions": ("GET_S*",), "rate": Rate(50, 60)}, []),
        ({"hours": read_hours("mon 09:00-10:00").text}, []),
        ({"scopes": ("execute", "audit:read")}, ["scopes"]),
        ({"actions": None}, ["actions"]),
        ({"actions": ("*",)}, ["actions"]),
        ({"networks": None}, ["networks"]),
        ({"networks": ("192.0.2.0/23",)}, ["networks"]),
        ({"hours": ""}, ["hours"]),
        ({"hours": read_hours("mon 07:00-09:00").text}, ["hours"]),
        ({"hours": read_hours("mon 09:00-10:00 Europe/Lisbon").text}, ["hours"]),
        ({"rate": None}, ["rate"]),
        ({"rate": Rate(101, 60)}, ["rate"]),
        ({"rate": Rate(100, 59)}, ["rate"]),
        ({"rate": Rate(200, 240)}, ["rate"]),  # slower, but a larger burst
        ({"concurrent": None}, ["concurrent"]),
        ({"expires_at": None}, ["expires"]),
        ({"expires_at": datetime(2030, 1, 2, tzinfo=UTC)}, ["expires"]),
    ],
)
def test_what_widens_a_key(changed: dict[str, Any], wider: list[str]) -> None:
    assert widened(NARROW, with_(**changed)) == wider
    assert widened(Terms(scopes=tuple(Scope)), with_(**changed)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"allowed_actions": ["get_status"]},
        {"allowed_actions": ["GO"]},
        {"allowed_actions": ["GET_?"]},
        {"allowed_networks": ["here"]},
        {"allowed_hours": "always"},
        {"rate": Rate(0, 60)},
        {"rate": Rate(1, 0)},
        {"concurrent": 0},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_what_breaks_a_rule_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read_terms(**({"scopes": ["execute"]} | wrong))


def test_every_scope_says_what_a_person_needs_for_it() -> None:
    assert set(SCOPE_PERMISSIONS) == {scope.value for scope in Scope}
