"""Callers' texts: printable, bounded, and still telling one from another."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from techno.governance.text import caller_text

#: Everything that Python can hold in a text, lone surrogates too.
ANY_TEXT = st.text(st.characters(), max_size=300)
LIMITS = st.integers(40, 200)


@given(ANY_TEXT, LIMITS)
def test_the_result_is_harmless_and_bounded(text: str, limit: int) -> None:
    result = caller_text(text, limit)
    assert len(result) <= limit
    assert result.isprintable()
    assert "\0" not in result
    result.encode("utf-8")


@given(st.text(st.characters(categories=("L", "N", "P", "Zs")), max_size=40))
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    assume(text.isprintable())
    if "\\" not in text:
        assert caller_text(text, 40) == text


@given(ANY_TEXT, ANY_TEXT, LIMITS)
def test_two_texts_never_become_one(one: str, other: str, limit: int) -> None:
    assume(one != other)
    assert caller_text(one, limit) != caller_text(other, limit)


@given(st.text(min_size=200), st.text(), st.text())
def test_long_texts_with_one_beginning_differ(start: str, one: str, other: str) -> None:
    assume(one != other)
    assert caller_text(start + one, 64) != caller_text(start + other, 64)


def test_an_escape_is_told_from_its_look_alike() -> None:
    assert caller_text("\0", 40) == "\\u0000"
    assert caller_text("\\u0000", 40) == "\\\\u0000"
    assert caller_text("\ud800", 40) == "\\ud800"
    assert caller_text("a\nb\u202e", 40) == "a\\u000ab\\u202e"
    assert caller_text("é ☃ 😀", 40) == "é ☃ 😀"
