"""Times and JSON that people type."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django import forms
from hypothesis import example, given
from hypothesis import strategies as st

from techno.portal.fields import JsonField, MomentField


class Typed(forms.Form):
    at = MomentField(required=False)
    value = JsonField(required=False)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-03-01T10:20", datetime(2026, 3, 1, 10, 20, tzinfo=UTC)),
        ("2026-03-01T10:20:30.000Z", datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)),
        ("2026-03-01T10:20:30-03:00", datetime(2026, 3, 1, 13, 20, 30, tzinfo=UTC)),
        ("", None),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(typed: str, meant: datetime | None) -> None:
    form = Typed({"at": typed})
    assert form.is_valid(), form.errors
    assert form.cleaned_data["at"] == meant


def test_a_time_goes_back_into_its_input_in_utc() -> None:
    form = Typed({"at": "2026-03-01T10:20:30-03:00"})
    assert 'value="2026-03-01T13:20:30"' in str(form["at"])


@given(st.text())
@example("0001-01-01T00:00+14:00")
@example("9999-12-31T23:59-14:00")
@example("2026-02-30T00:00")
@example('[[1, 2], {"a": 1e999999}]')
@example("[" * 60_000)
@example("9" * 5_000)
@example('["\\ud800"]')
def test_whatever_is_typed_is_a_value_or_a_complaint_and_is_shown_again(typed: str) -> None:
    form = Typed({"at": typed, "value": typed})
    form.is_valid()
    assert form.has_changed() in (True, False)
    form.as_p().encode("utf-8", "surrogatepass")


def test_wrong_json_is_echoed_as_it_was() -> None:
    form = Typed({"value": '["/bin/true", '})
    assert not form.is_valid()
    assert "[&quot;/bin/true&quot;, </textarea>" in str(form["value"])
