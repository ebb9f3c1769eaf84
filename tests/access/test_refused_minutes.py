"""One row an address and minute, whoever refuses it, and each count told once."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from techno.access import refused_minutes
from techno.access.refused_minutes import MINUTE_S, add, name_of, open_minute, tell_ended
from techno.database.current import store
from techno.gate import Governed, begin
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse

pytestmark = pytest.mark.usefixtures("database")
VERDICT = refuse(ReasonCode.G13_RATE_LIMITED)
NOW = int(time.time()) // MINUTE_S


def somewhere() -> str:
    """Return an address that no other test has."""
    return f"test-{uuid.uuid4().hex}"


def opened(subject: str, minute: int) -> Governed:
    """Open a minute as one process does."""
    governed = begin(client_address="192.0.2.1")
    assert open_minute(governed, VERDICT, subject, minute)
    return governed


def rows(subject: str) -> list[Any]:
    """Return id and detail of the rows of an address, oldest first."""
    return store().reads.rows(
        "SELECT trace_id::text, detail FROM audit_traces WHERE detail ->> 'together' = %s "
        "ORDER BY trace_id",
        [subject],
    )


def test_who_comes_second_answers_under_the_row_of_the_first() -> None:
    subject = somewhere()
    first, second = opened(subject, NOW), opened(subject, NOW)
    assert second.trace.trace_id == first.trace.trace_id
    assert second.trace.timestamp == first.trace.timestamp
    assert [trace_id for trace_id, _ in rows(subject)] == [first.trace.trace_id]
    later = opened(subject, NOW + 1)
    assert later.trace.trace_id != first.trace.trace_id


def test_a_quiet_address_is_told_by_the_keeper_once() -> None:
    subject = somewhere()
    first = opened(subject, NOW)
    assert add(subject, NOW, 40)
    assert add(subject, NOW, 2)
    tell_ended((NOW + 1) * MINUTE_S)  # over, but not settled
    assert len(rows(subject)) == 1
    for _ in range(2):
        tell_ended((NOW + 2) * MINUTE_S)
    (_, closing) = rows(subject)
    assert closing[1]["earlier_row"] == first.trace.trace_id
    assert closing[1]["earlier_refused"] == 42


def test_an_address_that_goes_on_is_told_by_its_own_rows() -> None:
    subject = somewhere()
    for minute in range(NOW - 2, NOW + 1):
        opened(subject, minute)
        assert add(subject, minute, 7)
        tell_ended((minute + 1) * MINUTE_S)
    told = [detail.get("earlier_refused") for _, detail in rows(subject)]
    assert told == [None, None, 7]


def test_a_minute_nobody_counted_in_is_not_told() -> None:
    subject = somewhere()
    opened(subject, NOW)
    tell_ended((NOW + 9) * MINUTE_S)
    assert len(rows(subject)) == 1


def test_two_that_would_tell_the_same_tell_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = somewhere()
    opened(subject, NOW - 2)
    assert add(subject, NOW - 2, 5)
    told = refused_minutes._untold(subject, NOW)
    assert told is not None
    opened(subject, NOW)  # tells it
    monkeypatch.setattr(refused_minutes, "_untold", lambda *_: told)
    opened(subject, NOW + 1)  # has read before the other wrote
    assert [detail.get("earlier_refused") for _, detail in rows(subject)] == [None, 5, None]


def test_a_count_waits_for_its_claim() -> None:
    assert not add(somewhere(), NOW, 3)
    assert name_of("192.0.2.1", 7) == "7|192.0.2.1"
