"""Whatever a page shows of free text can be seen."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from techno.portal.visible_text import make_line, make_visible

ANYTHING = st.text(st.characters())
#: Joiners, without which some scripts cannot be written, and signs that do not hide.
HARMLESS = "\u200c\u200d"


@given(ANYTHING)
@example("\x1b]8;;http://evil\x07x\x1b]8;;\x07")
@example("a\u202egnp.exe")
@example("\ud800")
def test_nothing_is_left_that_steers_or_hides(text: str) -> None:
    shown = make_visible(text)
    for character in shown:
        if character in "\n\t" or character in HARMLESS:
            continue
        assert unicodedata.category(character) not in ("Cc", "Zl", "Zp", "Cs")
        assert unicodedata.bidirectional(character) not in (
            *("LRE", "RLE", "LRO", "RLO", "PDF"),
            *("LRI", "RLI", "FSI", "PDI"),
        )
    shown.encode("utf-8")


@given(ANYTHING)
def test_a_line_has_no_end_of_line_and_showing_twice_changes_nothing(text: str) -> None:
    line = make_line(text)
    assert not {"\n", "\r", "\t"} & set(line)
    assert make_line(line) == line
    assert make_visible(make_visible(text)) == make_visible(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢字 👩\u200d🔧", "plain ä 漢字 👩\u200d🔧"),
        ("\x1b[31mred\x1b[0m", "⟦ESC⟧[31mred⟦ESC⟧[0m"),
        ("one\r\ntwo\rthree", "one\ntwo⟦CR⟧three"),
        ("nul\0del\x7fc1\x9b", "nul⟦NUL⟧del⟦DEL⟧c1⟦U+009B⟧"),
        ("\u202eabc\u202c\u200b", "⟦U+202E⟧abc⟦U+202C⟧⟦U+200B⟧"),
    ],
)
def test_signs(text: str, shown: str) -> None:
    assert make_visible(text) == shown
