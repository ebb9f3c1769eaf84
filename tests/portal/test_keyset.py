"""Cursors come back as they went out, and only then."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from techno.portal.keyset import BadCursor, Keyset

LIST = Keyset("at", "name", salt="one")
MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(MOMENTS, st.text(st.characters(codec="utf-8")))
def test_a_cursor_leads_back_to_its_row(at: datetime, name: str) -> None:
    cursor = LIST.encode(SimpleNamespace(at=at, name=name))
    assert LIST.decode(cursor) == (at, name)
    assert cursor.isascii()
    assert not set(cursor) & set(" &?#+/%=")


@given(MOMENTS, st.data())
def test_a_changed_cursor_is_refused(at: datetime, data: st.DataObject) -> None:
    cursor = LIST.encode(SimpleNamespace(at=at, name="x"))
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda sign: sign != cursor[place]))
    with pytest.raises(BadCursor):
        LIST.decode(cursor[:place] + other + cursor[place + 1 :])


@given(st.text())
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        LIST.decode(text)


def test_a_cursor_of_another_list_is_refused() -> None:
    cursor = Keyset("at", "name", salt="two").encode(
        SimpleNamespace(at=datetime(2026, 1, 1, tzinfo=UTC), name="x")
    )
    with pytest.raises(BadCursor):
        LIST.decode(cursor)
