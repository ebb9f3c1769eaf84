"""Keys in files and in output: found by their form, hidden whatever the pieces are."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from techno.access.key_format import make_key
from techno.governance.key_text import (
    KEY_EXPRESSION,
    KEY_LENGTH,
    KeyMask,
    hide_key_bytes,
    hide_keys,
    key_places,
)
from tests.isolation import REPOSITORY

KEY = make_key()
HIDDEN = f"techno_{KEY.prefix}_" + "*" * 49
#: Text in which keys, and beginnings of keys, are likely.
NEAR = st.lists(
    st.sampled_from([KEY.text, KEY.text[:30], "techno_", "tech", KEY.prefix, "_", "\n", "x", "é"])
).map("".join)


def test_the_published_expression_finds_what_is_made() -> None:
    page = (REPOSITORY / "docs" / "keys.md").read_text(encoding="utf-8")
    assert KEY_EXPRESSION in page
    for _ in range(50):
        text = make_key().text
        assert re.fullmatch(KEY_EXPRESSION, text)
        assert len(text) == KEY_LENGTH


def test_a_key_is_found_by_its_checksum() -> None:
    other = KEY.text[:-1] + ("A" if KEY.text[-1] != "A" else "B")
    data = f"a {KEY.text}\n'{other}' \xff {KEY.text}x".encode("latin-1")
    assert key_places(data) == [(2, KEY.text), (data.rindex(KEY.text.encode()), KEY.text)]


@given(NEAR)
def test_no_secret_is_left_in_a_text(text: str) -> None:
    hidden = hide_keys(text)
    assert KEY.text not in hidden
    assert len(hidden) == len(text)
    assert hidden.encode() == hide_key_bytes(text.encode())


@given(NEAR, st.lists(st.integers(0, 400)))
def test_a_stream_is_hidden_like_its_whole(text: str, cuts: list[int]) -> None:
    data = text.encode()
    mask = KeyMask()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    shown = b"".join(mask.feed(data[start:end]) for start, end in pairwise(places))
    assert len(data) - len(shown) < KEY_LENGTH
    assert shown + mask.finish() == hide_key_bytes(data)


@pytest.mark.parametrize("length", range(18, 65))
def test_what_a_limit_leaves_of_a_key_is_hidden(length: int) -> None:
    cut = "x " + KEY.text[:length]
    expected = "x " + HIDDEN[:length]
    assert hide_keys(cut, cut_short=True) == expected
    mask = KeyMask()
    assert mask.feed(cut.encode()) + mask.finish(cut_short=True) == expected.encode()
    assert hide_keys(cut) == cut
