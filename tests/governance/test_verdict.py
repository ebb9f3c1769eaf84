"""Verdicts, statuses and the envelope: values that cannot be misread."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from techno.governance import envelope
from techno.governance.principal import ANONYMOUS, Principal, PrincipalKind, Scope
from techno.governance.reason_codes import ReasonCode, status_of_codes
from techno.governance.status import SEVERITY, Status
from techno.governance.trace import Trace, iso_ms
from techno.governance.verdict import APPROVED, Verdict, checked, refuse

CODES = st.sampled_from(ReasonCode)
KNOWN = {code.code for code in ReasonCode}
ANYTHING = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers())
#: The contract's table, written down once more by hand: code, HTTP status, status.
CONTRACT = [
    ("G0_auth_not_configured", 401, "BLOCKED"),
    ("G2_scope_denied", 403, "BLOCKED"),
    ("G3_address_denied", 403, "BLOCKED"),
    ("G7_payload_limit", 413, "BLOCKED"),
    ("G8_unknown_action", 200, "BLOCKED"),
    ("G9_action_disabled", 200, "BLOCKED"),
    ("G10_body_parse_error", 400, "BLOCKED"),
    ("G11_invalid_payload", 400, "BLOCKED"),
    ("G12_timeout", 200, "BLOCKED"),
    ("G13_rate_limited", 429, "BLOCKED"),
    ("G14_approval_required", 202, "NEUTRAL"),
    ("G15_approval_denied", 200, "BLOCKED"),
    ("G16_approval_expired", 200, "EXPIRED"),
    ("G17_audit_unavailable", 503, "BLOCKED"),
    ("G18_idempotency_conflict", 409, "BLOCKED"),
    ("E0_nonzero_exit", 200, "WARNING"),
    ("E1_queued", 202, "NEUTRAL"),
    ("E2_running", 202, "NEUTRAL"),
    ("E5_internal_error", 500, "BLOCKED"),
    ("E6_spawn_failed", 200, "BLOCKED"),
    ("E8_cancelled", 200, "BLOCKED"),
    ("E9_interrupted", 200, "BLOCKED"),
    ("E12_timeout", 200, "BLOCKED"),
]


@pytest.mark.parametrize(("code", "http_status", "status"), CONTRACT)
def test_the_contracts_table(code: str, http_status: int, status: str) -> None:
    verdict = refuse(ReasonCode.of(code))
    assert (verdict.http_status, verdict.status, verdict.codes) == (http_status, status, [code])
    assert verdict.message == ReasonCode.of(code).value.meaning


def test_a_code_that_only_informs_changes_nothing_else() -> None:
    verdict = APPROVED.adding(ReasonCode.E7_OUTPUT_TRUNCATED, ReasonCode.E7_OUTPUT_TRUNCATED)
    assert (verdict.status, verdict.http_status) == (Status.APPROVED, 200)
    assert verdict.codes == ["E7_output_truncated"]
    assert verdict.adding(ReasonCode.E7_OUTPUT_TRUNCATED) == verdict


@given(ANYTHING)
def test_whatever_is_not_a_code_is_unknown(text: object) -> None:
    if text not in KNOWN:
        assert ReasonCode.of(text) is ReasonCode.E_UNKNOWN
        assert Status.of(text) is Status.BLOCKED


@given(ANYTHING, st.lists(ANYTHING | CODES | st.sampled_from(sorted(KNOWN))))
def test_doubt_is_blocked(status: object, codes: list[Any]) -> None:
    verdict = checked(status, codes, 200, "")
    if status not in set(Status):
        assert verdict.status is Status.BLOCKED
        assert ReasonCode.E_UNKNOWN in verdict.reason_codes
    if ReasonCode.E_UNKNOWN in verdict.reason_codes:
        assert verdict.status is Status.BLOCKED
    assert len(set(verdict.reason_codes)) == len(verdict.reason_codes)
    assert set(verdict.codes) <= KNOWN
    assert ("E_unknown" in verdict.codes) == (
        status not in set(Status)
        or any(
            ReasonCode.of(code.code if isinstance(code, ReasonCode) else code)
            is ReasonCode.E_UNKNOWN
            for code in codes
        )
    )


@given(st.lists(CODES, min_size=1), st.text(), st.none() | st.integers(100, 599))
def test_a_refusal_is_never_an_approval(
    codes: list[ReasonCode], message: str, http_status: int | None
) -> None:
    verdict = refuse(*codes, message=message, http_status=http_status)
    assert verdict.status is not Status.APPROVED
    assert verdict.message
    if http_status is not None:
        assert verdict.http_status == http_status
    statuses = [code.value.status for code in codes if code.value.status]
    assert all(SEVERITY[verdict.status] >= SEVERITY[status] for status in statuses)


def test_a_refusal_names_a_code() -> None:
    with pytest.raises(ValueError, match="at least one"):
        refuse()


def test_a_verdict_has_no_truth_and_does_not_change() -> None:
    for verdict in (APPROVED, refuse(ReasonCode.E_UNKNOWN)):
        with pytest.raises(TypeError):
            bool(verdict)
        with pytest.raises(dataclasses.FrozenInstanceError):
            verdict.status = Status.APPROVED  # type: ignore[misc]
    assert APPROVED.approved
    assert not APPROVED.failed
    assert {status for status in Status if Verdict(status).failed} == {"BLOCKED", "EXPIRED"}
    assert {status.result for status in Status if Verdict(status).failed} == {"FAILED"}
    assert {status.result for status in Status if not Verdict(status).failed} == {"SUCCESS"}


@given(st.lists(st.sampled_from(sorted(KNOWN)) | ANYTHING))
def test_a_row_without_status_has_the_worst_that_its_codes_stand_for(codes: list[Any]) -> None:
    status = status_of_codes(codes)
    assert (status is Status.APPROVED) == (codes == [])
    if any(ReasonCode.of(code) is ReasonCode.E_UNKNOWN for code in codes):
        assert status is Status.BLOCKED
    for code in codes:
        assert SEVERITY[status] >= SEVERITY[status_of_codes([code])]


# -- the envelope ----------------------------------------------------------------------------------

TOLD = {"trace_id": "01890000-0000-7000-8000-000000000000", "ts_utc": "2026-01-31T09:30:00.123Z"}


def test_a_success_has_data_and_no_message() -> None:
    body = envelope.build(APPROVED, **TOLD, data=[], beside={"next": None})
    assert body == {
        **TOLD,
        "status": "APPROVED",
        "reason_codes": [],
        "data": [],
        "next": None,
    }


def test_a_failure_has_a_message_and_no_data() -> None:
    body = envelope.build(refuse(ReasonCode.G9_ACTION_DISABLED), **TOLD)
    assert body == {
        **TOLD,
        "status": "BLOCKED",
        "reason_codes": ["G9_action_disabled"],
        "message": ReasonCode.G9_ACTION_DISABLED.value.meaning,
    }


@pytest.mark.parametrize("name", sorted(envelope.RESERVED_FIELDS))
def test_nobody_overwrites_the_envelopes_own_fields(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        envelope.build(APPROVED, **TOLD, beside={name: "forged"})


@given(
    st.sampled_from(sorted(envelope.RESERVED_FIELDS)),
    st.text(),
    st.dictionaries(st.text(), st.integers()),
)
def test_an_envelope_is_json_and_says_what_the_verdict_says(
    name: str, message: str, beside: dict[str, int]
) -> None:
    fields = {key: value for key, value in beside.items() if key not in envelope.RESERVED_FIELDS}
    verdict = refuse(ReasonCode.E0_NONZERO_EXIT, message=message or "x")
    body = json.loads(json.dumps(envelope.build(verdict, **TOLD, beside=fields)))
    assert body["status"] == "WARNING"
    assert {key: body[key] for key in fields} == fields


# -- who and when ----------------------------------------------------------------------------------


def test_a_principal_may_do_what_it_was_given() -> None:
    key = Principal(PrincipalKind.API_KEY, "abc", "x", frozenset({Scope.EXECUTE}), frozenset({"A"}))
    assert key.has_scope(Scope.EXECUTE)
    assert not key.has_scope(Scope.AUDIT_READ)
    assert (key.may_run("A"), key.may_run("B")) == (True, False)
    assert key.key_prefix == "abc"
    assert not any(ANONYMOUS.has_scope(scope) for scope in Scope)
    assert ANONYMOUS.key_prefix == ""
    everything = Principal(PrincipalKind.PERSON, "ana", scopes=frozenset(Scope))
    assert everything.may_run("ANY")
    assert everything.key_prefix == ""
    nothing = Principal(PrincipalKind.API_KEY, "abc", allowed_actions=frozenset())
    assert not nothing.may_run("A")


@given(st.integers(0, 253_402_300_799_999))
def test_times_have_milliseconds_and_end_in_z(unix_ms: int) -> None:
    text = iso_ms(unix_ms)
    assert len(text) == len("2026-01-31T09:30:00.123Z")
    assert text.endswith(f".{unix_ms % 1000:03d}Z")
    assert Trace("x", unix_ms, 0.0).timestamp == text
