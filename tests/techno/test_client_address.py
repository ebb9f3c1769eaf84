"""The caller's address: what the socket says, unless a proxy of ours says otherwise."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from techno.web.client_address import client_address, networks, normalised

TRUSTED = networks(["10.0.0.0/8", "2001:db8:ffff::/48", "127.0.0.1"])
ADDRESSES = st.ip_addresses().map(str)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),  # a stranger says what it likes
        ("10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("10.1.2.3", "198.51.100.9, 203.0.113.5", "203.0.113.5"),  # the left was the caller's
        ("10.1.2.3", "203.0.113.5, 10.9.9.9", "203.0.113.5"),
        ("10.1.2.3", "10.9.9.9", "10.9.9.9"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("10.1.2.3", "unknown", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.5, unknown", "10.1.2.3"),
        ("10.1.2.3", "unknown, 203.0.113.5", "203.0.113.5"),
        ("10.1.2.3", ", ,", "10.1.2.3"),
        ("10.1.2.3", "[2001:db8::1]", "2001:db8::1"),
        ("10.1.2.3", "2001:DB8:0::1", "2001:db8::1"),
        ("10.1.2.3", "203.0.113.5:41234", "203.0.113.5"),
        ("10.1.2.3", "198.51.100.9, 203.0.113.5:1, 10.9.9.9:443", "203.0.113.5"),
        ("10.1.2.3", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.1.2.3", "203.0.113.5:", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.5:123456", "10.1.2.3"),
        ("10.1.2.3", "203.0.113.5:1:2", "10.1.2.3"),
        ("10.1.2.3", "[203.0.113.5]:80:80", "10.1.2.3"),
        ("10.1.2.3", ":443", "10.1.2.3"),
        ("10.1.2.3", "::ffff:203.0.113.5", "203.0.113.5"),
        ("::ffff:10.1.2.3", "203.0.113.5", "203.0.113.5"),
        ("2001:db8:ffff::1", "203.0.113.5", "203.0.113.5"),
        ("2001:db8:fffe::1", "203.0.113.5", "2001:db8:fffe::1"),
        ("", "203.0.113.5", ""),
        ("not an address", "203.0.113.5", ""),
        ("10.1.2.3", ",".join(["203.0.113.5"] + ["10.0.0.1"] * 40), "10.0.0.1"),
    ],
)
def test_the_address(peer: str, forwarded: str, expected: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == expected


@given(ADDRESSES, st.text())
def test_without_proxies_of_ours_nothing_forwarded_counts(peer: str, forwarded: str) -> None:
    assert client_address(peer, forwarded, ()) == normalised(peer)


@given(ADDRESSES, st.lists(ADDRESSES | st.text(max_size=20)))
def test_what_a_caller_writes_on_the_left_changes_nothing(caller: str, invented: list[str]) -> None:
    seen = normalised(caller)
    if any(ipaddress.ip_address(seen) in network for network in TRUSTED):
        return
    assert client_address("10.1.2.3", ",".join([*invented, caller]), TRUSTED) == seen


@given(st.text())
def test_the_result_is_an_address_or_nothing(text: str) -> None:
    for result in (normalised(text), client_address(text, text, TRUSTED)):
        assert result == "" or str(ipaddress.ip_address(result)) == result


def test_a_wrong_range_is_named() -> None:
    with pytest.raises(ValueError, match="300"):
        networks(["10.0.0.0/8", "10.0.0.300"])
