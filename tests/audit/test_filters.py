"""The audit query: a closed form, each value checked, nothing guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.filters import BadQuery, parse_query
from audit.reader import LIMIT_DEFAULT, LIMIT_MOST, AuditQuery, decode_cursor, encode_cursor
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

TEXT_FIELDS = ("action", "session_id", "user_ip", "key", "reason_code")
PRINTABLE = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=60)
FIELDS = (*TEXT_FIELDS, "filter", "limit", "cursor", "trace_id", "since", "until", "wait", "codes")


def test_nothing_asked_is_the_usual_page() -> None:
    assert parse_query("") == AuditQuery(limit=LIMIT_DEFAULT)
    assert parse_query("unknown=1&filter=&limit=") == AuditQuery(limit=LIMIT_DEFAULT)


@pytest.mark.parametrize("status", Status)
def test_a_status_is_a_filter(status: Status) -> None:
    assert parse_query(f"filter={status}").status == status.value


def test_pending_is_neutral_and_all_is_everything() -> None:
    assert parse_query("filter=PENDING").status == "NEUTRAL"
    assert parse_query("filter=all") == AuditQuery()


@pytest.mark.parametrize("code", ReasonCode, ids=str)
def test_every_reason_code_is_a_filter(code: ReasonCode) -> None:
    query = parse_query(f"filter={code.code}")
    assert (query.status, query.reason_code) == ("", code.code)
    assert parse_query(f"filter={code.code}&reason_code={code.code}") == query


def test_two_codes_that_contradict_are_refused() -> None:
    with pytest.raises(BadQuery) as refusal:
        parse_query("filter=E12_timeout&reason_code=E0_nonzero_exit")
    assert refusal.value.field == "filter"


@given(PRINTABLE, st.sampled_from(TEXT_FIELDS))
def test_a_text_is_taken_as_it_is(text: str, field: str) -> None:
    assert getattr(parse_query(urlencode({field: text})), field) == text


@given(st.integers(-(10**12), 10**12))
def test_a_limit_within_its_bounds(limit: int) -> None:
    if 1 <= limit <= LIMIT_MOST:
        assert parse_query(f"limit={limit}").limit == limit
    else:
        with pytest.raises(BadQuery) as refusal:
            parse_query(f"limit={limit}")
        assert refusal.value.field == "limit"


def asked(query_string: str) -> AuditQuery | BadQuery:
    try:
        return parse_query(query_string)
    except BadQuery as error:
        return error


@given(st.sampled_from(FIELDS), st.text(max_size=300))
def test_any_value_is_understood_or_refused_by_its_name(field: str, value: str) -> None:
    found = asked(urlencode({field: value}))
    if isinstance(found, BadQuery):
        assert found.field == field
        assert str(found).startswith(f"{field}: ")


@given(st.text(max_size=100))
def test_any_query_string_is_understood_or_refused(text: str) -> None:
    found = asked(text)
    assert isinstance(found, AuditQuery) or found.field in FIELDS


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)), st.uuids())  # noqa: DTZ001
def test_a_cursor_comes_back_as_it_went_and_cannot_be_made_by_others(
    moment: datetime, trace_id: object
) -> None:
    timestamp = moment.replace(tzinfo=UTC).isoformat()
    cursor = encode_cursor(timestamp, str(trace_id))
    position = decode_cursor(cursor)
    assert (position.timestamp, position.trace_id) == (timestamp, str(trace_id))
    assert cursor.isascii()
    assert urlencode({"c": cursor}) == f"c={cursor}"  # safe in an address as it is
    assert parse_query(f"cursor={cursor}").cursor == cursor
    altered = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    with pytest.raises(BadQuery) as refusal:
        parse_query(f"cursor={altered}")
    assert refusal.value.field == "cursor"
