"""One row an address and minute, whoever refuses it, and each count told once."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from techno.access import refused_minutes
from techno.access.refused_minutes import (
    ACTION,
    MINUTE_S,
    add,
    name_of,
    open_minute,
    refuse_together,
    tell_ended,
)
from techno.database.current import store
from techno.gate import Governed, begin
from techno.governance.principal import Principal, PrincipalKind
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
    governed.action, governed.detail = ACTION, {"together": subject}
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
    told = "SELECT user_ip FROM audit_logs WHERE trace_id = %s"
    assert store().reads.rows(told, [closing[0]]) == [("192.0.2.1",)]


def test_an_address_that_goes_on_is_told_by_its_own_rows() -> None:
    subject = somewhere()
    for minute in range(NOW - 2, NOW + 1):
        opened(subject, minute)
        assert add(subject, minute, 7)
        tell_ended((minute + 1) * MINUTE_S)
    told = [detail.get("earlier_refused") for _, detail in rows(subject)]
    assert told == [None, None, 7]


def test_people_are_counted_in_the_database_and_told_by_name() -> None:
    subject, trace_ids = f"page.open|{somewhere()}", []
    for _ in range(4):
        governed = begin(client_address="192.0.2.2")
        governed.trace = replace(governed.trace, arrived_ms=(NOW - 9) * MINUTE_S * 1000)
        governed.action, governed.detail = "page.open", {"page": "x", "together": subject}
        governed.principal = Principal(PrincipalKind.PERSON, "mallory", "Mallory")
        refuse_together(governed, refuse(ReasonCode.G2_SCOPE_DENIED), subject)
        trace_ids.append(governed.trace.trace_id)
    assert [trace_id for trace_id, _ in rows(subject)] == trace_ids[:1]
    tell_ended()
    (_, (told, detail)) = rows(subject)
    assert (detail["earlier_row"], detail["earlier_refused"]) == (trace_ids[0], 3)
    assert detail["page"] == "x"
    named = "SELECT action, principal_label, http_status FROM audit_traces WHERE trace_id = %s"
    assert store().reads.rows(named, [told]) == [("page.open", "Mallory", 403)]


def test_threads_that_refuse_at_once_write_one_row() -> None:
    subject = f"page.open|{somewhere()}"

    def one(_: int) -> None:
        governed = begin()
        governed.trace = replace(governed.trace, arrived_ms=(NOW - 9) * MINUTE_S * 1000)
        governed.action, governed.detail = "page.open", {"together": subject}
        refuse_together(governed, refuse(ReasonCode.G2_SCOPE_DENIED), subject)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    assert len(rows(subject)) == 1
    tell_ended()
    assert rows(subject)[1][1]["earlier_refused"] == 39


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
