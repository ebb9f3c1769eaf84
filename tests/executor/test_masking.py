"""Secrets in output: masked wherever they stand, however the output is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.masking import Masker, mask_text

SECRETS = st.lists(st.text(alphabet="ab", min_size=2, max_size=6), min_size=1, max_size=3)
PIECES = st.lists(st.text(alphabet="abc", max_size=6).map(str.encode), max_size=8)


def masked(secrets: list[str], pieces: list[bytes]) -> bytes:
    masker = Masker(secrets)
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.finish()])


def reference(secrets: list[str], text: str) -> str:
    """What must come out: every character of any secret goes, overlapping ones as one."""
    spans = sorted(
        (at, at + len(secret))
        for secret in secrets
        for at in range(len(text))
        if text.startswith(secret, at)
    )
    merged: list[list[int]] = []
    for begin, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and begin < merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([begin, end])
    shown, position = "", 0
    for begin, end in merged:
        shown, position = f"{shown}{text[position:begin]}***", end
    return shown + text[position:]


@settings(max_examples=600, deadline=None)
@given(secrets=SECRETS, pieces=PIECES)
def test_it_is_masked_however_the_stream_is_cut(secrets: list[str], pieces: list[bytes]) -> None:
    whole = b"".join(pieces).decode()
    assert masked(secrets, pieces).decode() == reference(secrets, whole)


def test_what_cannot_be_a_secret_is_shown_at_once() -> None:
    masker = Masker(["hunter2!"])
    assert masker.feed(b"hello hun") == b"hello "
    assert masker.feed(b"gry") == b"hungry"
    assert masker.feed(b" hunter2") == b" "
    assert masker.feed(b"!.") == b"***."
    assert masker.finish() == b""


@pytest.mark.parametrize(
    ("secret", "printed"),
    [
        ("pass\nphrase of two", "phrase of two"),
        ('quo"te\\d', r"quo\"te\\d"),
        ("gr\u00fc\u00dfe an alle", "gr\\u00fc\\u00dfe an alle"),
        ("gr\u00fc\u00dfe an alle", "gr\u00fc\u00dfe an alle"),
    ],
)
def test_its_other_forms_are_masked_too(secret: str, printed: str) -> None:
    assert mask_text(f"<{printed}>", [secret]) == "<***>"


def test_of_a_text_that_was_cut_the_end_may_be_half_a_secret() -> None:
    assert mask_text("key: hunte", ["hunter2!"], cut_short=True) == "key: ***"
    assert mask_text("key: hunte", ["hunter2!"]) == "key: hunte"
    assert mask_text("key: none", ["hunter2!"], cut_short=True) == "key: none"
