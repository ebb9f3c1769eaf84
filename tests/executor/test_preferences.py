"""What headers ask for, and when two bodies are the same."""

from __future__ import annotations

import pytest

from executor.preferences import InvalidName, checked_name, fingerprint, wants_async


@pytest.mark.parametrize(
    ("prefer", "wanted"),
    [
        ("respond-async", True),
        ("Respond-Async", True),
        ("wait=10, respond-async", True),
        ("respond-async;foo=bar, return=minimal", True),
        ("", False),
        ("respond-asynchronously", False),
        ("handling=respond-async", False),
    ],
)
def test_an_answer_before_the_end_is_asked_for_by_its_word(prefer: str, wanted: bool) -> None:
    assert wants_async(prefer) is wanted


@pytest.mark.parametrize("name", ["a", "x" * 255, '"quoted"', "with space", "~!@"])
def test_names_are_printable(name: str) -> None:
    assert checked_name(name) == name


def test_no_header_is_no_name() -> None:
    assert checked_name(None) == ""


@pytest.mark.parametrize("name", ["", "x" * 256, "a\n", "a\0", "tab\t", "caf\xe9"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        checked_name(name)


def test_bodies_are_the_same_when_their_values_are() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    different = [{"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": True}, {"a": None}, {"a": [1]}, {}, []]
    assert len({fingerprint(body) for body in different}) == len(different)
    assert fingerprint({"a": "\ud800"})  # what UTF-8 cannot hold has one too
