"""The leaf format: worked numbers, what is refused, redaction, and the second implementation."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import verify
from audit.canonical import (
    COMPANION_FIELDS,
    LEAF_LIMIT_BYTES,
    PERSONAL_FIELDS,
    ROW_FIELDS,
    CanonicalError,
    canonical_json,
    commitment,
    leaf_bytes,
    reason_codes_from_jsonb,
    redacted,
    row_record,
    timestamp_text,
)
from audit.merkle import leaf_hash
from tests.audit.format_document import vector

unhurried = settings(deadline=None)  # a loaded machine is no failure

ROW: dict[str, Any] = {
    "trace_id": UUID("019ab0c4-6f40-7c11-8a5e-2f6d1b0c9e77"),
    "timestamp": datetime(2026, 11, 23, 7, 46, 5, 120_000, tzinfo=UTC),
    "reason_codes": ["E0_nonzero_exit"],
    "session_id": "console-7",
    "user_ip": "192.0.2.44",
    "salt": bytes(range(16)),
    "commitments": None,
    "companion": {
        "status": "WARNING",
        "action": "DISK_USAGE",
        "method": "POST",
        "path": "/api/execute",
        "http_status": 200,
        "duration_ms": 41,
        "principal_kind": "api_key",
        "principal_label": "Console São Paulo",
        "key_prefix": "a8Kd93Kx",
        "execution_id": "run_000017",
        "message": 'The command ended with "1".\n',
        "host": "web-1",
        "user_agent": "curl/8.5.0",
        "detail": {"exit_code": 1, "truncated": False, "signal": None, "note": "🦉"},
    },
}
FOREIGN_ROW: dict[str, Any] = {
    **ROW,
    "trace_id": UUID("9dcfe964-ac73-4ebf-aabf-82b4be6653b0"),
    "reason_codes": [],
    "session_id": None,
    "user_ip": "192.0.2.7",
    "salt": None,
    "companion": None,
}


def altered(row: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `row` with the value at ``field`` or ``companion.field`` replaced."""
    copy = deepcopy(row)
    *holders, name = path.split(".")
    target = copy
    for holder in holders:
        target = target[holder]
    target[name] = value
    return copy


# ---- Worked numbers


def test_the_documented_leaf_of_a_full_row() -> None:
    data = leaf_bytes(1, ROW)
    assert data.decode("ascii") == vector("leaf")
    assert leaf_hash(data).hex() == vector("leaf-hash")


def test_the_documented_row_and_its_redacted_form_have_that_same_leaf() -> None:
    for name in ("row", "row-redacted"):
        record = json.loads(vector(name))
        assert verify.leaf_hash(record).hex() == vector("leaf-hash")
    assert json.loads(vector("row")) == row_record(1, 17, ROW)
    assert json.loads(vector("row-redacted")) == row_record(1, 17, redacted(ROW))


def test_the_documented_commitments() -> None:
    for line in vector("commitments").splitlines():
        field, opening, text = line.split()
        assert "sha256:" + sha256(bytes.fromhex(opening)).hexdigest() == text
        value = {**ROW, **ROW["companion"]}[field]
        assert commitment(ROW["salt"], field, value) == text


def test_the_documented_leaf_of_a_foreign_row() -> None:
    data = leaf_bytes(1, FOREIGN_ROW)
    assert data.decode("ascii") == vector("leaf-foreign")
    assert leaf_hash(data).hex() == vector("leaf-foreign-hash")


# ---- The form


def test_the_leaf_is_canonical_json_below_one_line() -> None:
    header, _, body = leaf_bytes(1, ROW).partition(b"\n")
    assert header == b"techno-audit-leaf/v1"
    assert canonical_json(json.loads(body)).encode() == body


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 7, tzinfo=UTC), "2026-01-02T03:04:05.000007Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=-3))),
            "2026-01-02T06:04:05.000000Z",
        ),
    ],
)
def test_timestamps_have_one_form(moment: datetime, text: str) -> None:
    assert timestamp_text(moment) == text
    assert leaf_bytes(1, altered(ROW, "timestamp", moment)) == leaf_bytes(
        1, altered(ROW, "timestamp", text)
    )


def test_texts_and_objects_of_one_value_have_one_leaf() -> None:
    as_texts = row_record(1, 0, ROW)
    del as_texts["version"], as_texts["index"]
    assert leaf_bytes(1, as_texts) == leaf_bytes(1, ROW)


@pytest.mark.parametrize(
    "timestamp",
    [None, "infinity", "-infinity", "12000-01-01 00:00:00+00", "0044-03-15 12:00:00.5+00 BC"],
)
def test_what_postgresql_can_hold_beyond_our_calendar_has_a_leaf(timestamp: str | None) -> None:
    row = altered(FOREIGN_ROW, "timestamp", timestamp)
    assert leaf_hash(leaf_bytes(1, row)) == verify.leaf_hash(row_record(1, 0, row))


@pytest.mark.parametrize(
    ("jsonb", "codes"),
    [
        ("[]", []),
        ('["G8_unknown_action"]', ["G8_unknown_action"]),
        ("null", "null"),
        ('{"a": 1.10}', '{"a": 1.10}'),
        ('["a", 1]', '["a", 1]'),
        ("1e400", "1e400"),
        ("[" * 5000 + "]" * 5000, "[" * 5000 + "]" * 5000),
    ],
)
def test_every_jsonb_of_another_program_has_a_leaf(jsonb: str, codes: list[str] | str) -> None:
    assert reason_codes_from_jsonb(jsonb) == codes
    row = altered(FOREIGN_ROW, "reason_codes", reason_codes_from_jsonb(jsonb))
    assert leaf_hash(leaf_bytes(1, row)) == verify.leaf_hash(row_record(1, 0, row))


@pytest.mark.parametrize("length", [65_000, 66_000, 1_000_000])
def test_no_leaf_is_too_long_for_an_entry_bundle(length: int) -> None:
    row = altered(FOREIGN_ROW, "session_id", "x" * length)
    data = leaf_bytes(1, row)
    assert len(data) <= LEAF_LIMIT_BYTES
    assert leaf_hash(data) == verify.leaf_hash(row_record(1, 0, row))
    other = altered(FOREIGN_ROW, "session_id", "x" * (length - 1) + "y")
    assert leaf_bytes(1, other) != data


def test_the_longest_leaf_that_is_written_out() -> None:
    empty = len(leaf_bytes(1, altered(FOREIGN_ROW, "session_id", "")))
    fits = leaf_bytes(1, altered(FOREIGN_ROW, "session_id", "x" * (LEAF_LIMIT_BYTES - empty)))
    too_long = altered(FOREIGN_ROW, "session_id", "x" * (LEAF_LIMIT_BYTES - empty + 1))
    assert len(fits) == LEAF_LIMIT_BYTES
    written, digest = fits.replace(b'x"', b'xx"', 1), leaf_bytes(1, too_long)
    assert digest == b"techno-audit-leaf/v1\nsha256:" + sha256(written).hexdigest().encode()


# ---- What is refused


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(CanonicalError, match="version 2"):
        leaf_bytes(2, ROW)


@pytest.mark.parametrize("field", sorted(ROW_FIELDS))
def test_a_missing_column_is_refused(field: str) -> None:
    row = {name: value for name, value in ROW.items() if name != field}
    with pytest.raises(CanonicalError, match=field):
        leaf_bytes(1, row)


@pytest.mark.parametrize("field", sorted(COMPANION_FIELDS))
def test_a_missing_companion_field_is_refused(field: str) -> None:
    row = deepcopy(ROW)
    del row["companion"][field]
    with pytest.raises(CanonicalError, match=field):
        leaf_bytes(1, row)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(CanonicalError, match="colour"):
        leaf_bytes(1, {**ROW, "colour": "red"})
    with pytest.raises(CanonicalError, match="colour"):
        leaf_bytes(1, altered(ROW, "companion.colour", "red"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trace_id", None),
        ("trace_id", "019AB0C4-6F40-7C11-8A5E-2F6D1B0C9E77"),
        ("trace_id", "019ab0c46f407c118a5e2f6d1b0c9e77"),
        ("trace_id", 7),
        ("timestamp", datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001
        ("timestamp", "2026-01-02T03:04:05Z"),
        ("timestamp", "2026-01-02T03:04:05.000000+00:00"),
        ("timestamp", "2026-01-02T03:04:05.000000Z\n"),
        ("timestamp", "\u0662026-01-02T03:04:05.000000Z"),
        ("timestamp", 5),
        ("reason_codes", ["a", 1]),
        ("reason_codes", ["a", None]),
        ("reason_codes", {"a": 1}),
        ("session_id", 7),
        ("session_id", b"bytes"),
        ("user_ip", ["192.0.2.1"]),
        ("salt", bytes(15)),
        ("salt", "00" * 15),
        ("salt", "0G" + "00" * 15),
        ("salt", 7),
        ("companion", []),
        ("companion.user_agent", 1.5),
        ("companion.status", 200),
        ("companion.http_status", "200"),
        ("companion.http_status", True),
        ("companion.http_status", 200.0),
        ("companion.duration_ms", 2**53),
        ("companion.duration_ms", -(2**53)),
        ("companion.detail", [1]),
        ("companion.detail", {"a": 1.5}),
        ("companion.detail", {"a": float("nan")}),
        ("companion.detail", {"a": {"b": 1}}),
        ("companion.detail", {"a": [1]}),
        ("companion.detail", {1: "a"}),
        ("companion.detail", {"a": 2**53}),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(path: str, value: Any) -> None:
    with pytest.raises(CanonicalError):
        leaf_bytes(1, altered(ROW, path, value))


@pytest.mark.parametrize(
    "path", ["session_id", "companion.user_agent", "companion.message", "companion.path"]
)
def test_lone_surrogates_are_refused_and_pairs_are_text(path: str) -> None:
    for text in ("\ud83d", "a\ude00b", "\ude00\ud83d", "\\ud83d\ud83d"):
        with pytest.raises(CanonicalError):
            leaf_bytes(1, altered(ROW, path, text))
    for text in ("🦉", "\\ud83d", "\\\\ude00"):
        leaf_bytes(1, altered(ROW, path, text))


def test_lone_surrogates_are_refused_in_lists_and_objects_too() -> None:
    for path, value in (
        ("reason_codes", ["\ud83d"]),
        ("companion.detail", {"\ud83d": 1}),
        ("companion.detail", {"a": "\ud83d"}),
    ):
        with pytest.raises(CanonicalError, match="surrogate"):
            leaf_bytes(1, altered(ROW, path, value))


# ---- Redaction


def test_redaction_keeps_the_leaf_and_loses_the_values() -> None:
    erased = redacted(ROW)
    assert leaf_bytes(1, erased) == leaf_bytes(1, ROW)
    record = canonical_json(row_record(1, 0, erased))
    for value in (ROW["session_id"], ROW["user_ip"], "curl", ROW["salt"].hex()):
        assert value not in record
    assert redacted(erased) == erased


def test_a_row_sealed_without_a_salt_cannot_be_redacted() -> None:
    with pytest.raises(CanonicalError, match="without a salt"):
        redacted(FOREIGN_ROW)


def test_another_programs_row_may_have_a_salt_of_its_sealer() -> None:
    row = {**FOREIGN_ROW, "salt": bytes(16)}
    assert b"192.0.2.7" not in leaf_bytes(1, row)
    assert leaf_bytes(1, redacted(row)) == leaf_bytes(1, row)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("salt", bytes(16)),
        ("session_id", "console-7"),
        ("user_ip", ""),
        ("companion.user_agent", "curl"),
        ("commitments", {}),
        ("commitments", []),
        ("commitments.form", "plain"),
        ("commitments.user_ip", "192.0.2.44"),
        ("commitments.user_ip", "sha256:" + "0" * 63),
        ("commitments.user_ip", "sha256:" + "A" * 64),
        ("commitments.user_ip", 5),
    ],
)
def test_a_half_redacted_row_is_refused(path: str, value: Any) -> None:
    with pytest.raises(CanonicalError):
        leaf_bytes(1, altered(redacted(ROW), path, value))


def test_a_commitment_covers_salt_field_and_value() -> None:
    salt = bytes(16)
    texts = {
        commitment(salt, "user_ip", "a"),
        commitment(salt, "user_ip", "b"),
        commitment(salt, "session_id", "a"),
        commitment(bytes(15) + b"\x01", "user_ip", "a"),
    }
    assert len(texts) == 4
    assert commitment(salt, "user_ip", None) is None
    assert commitment(salt, "user_ip", "") is not None


def test_a_plain_value_that_looks_like_a_commitment_is_told_apart() -> None:
    salted = {**FOREIGN_ROW, "salt": bytes(16), "session_id": "s"}
    shown = redacted(salted)["commitments"]
    posing = {**FOREIGN_ROW, "session_id": shown["session_id"], "user_ip": shown["user_ip"]}
    assert leaf_bytes(1, posing) != leaf_bytes(1, salted)


# ---- Any row: distinct rows have distinct leaves, and two implementations agree

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**53) + 1, 2**53 - 1)
companions = st.fixed_dictionaries(
    {
        **dict.fromkeys(COMPANION_FIELDS, st.none() | texts),
        "http_status": st.none() | integers,
        "duration_ms": st.none() | integers,
        "detail": st.none()
        | st.dictionaries(texts, st.none() | st.booleans() | integers | texts, max_size=4),
    }
)
rows = st.fixed_dictionaries(
    {
        "trace_id": st.uuids(),
        "timestamp": st.none() | st.datetimes(timezones=st.just(UTC)),
        "reason_codes": st.none() | texts | st.lists(texts, max_size=3),
        "session_id": st.none() | texts,
        "user_ip": st.none() | texts,
        "companion": st.none() | companions,
        "salt": st.none() | st.binary(min_size=16, max_size=16),
        "commitments": st.none(),
    }
)


@unhurried
@given(rows)
def test_both_implementations_make_the_same_leaf(row: dict[str, Any]) -> None:
    data = leaf_bytes(1, row)
    assert leaf_hash(data) == verify.leaf_hash(json.loads(canonical_json(row_record(1, 0, row))))
    assert canonical_json(json.loads(data.partition(b"\n")[2])).encode() == data.partition(b"\n")[2]


@unhurried
@given(rows)
def test_a_third_json_writer_agrees_on_the_value(row: dict[str, Any]) -> None:
    body = leaf_bytes(1, row).partition(b"\n")[2]
    assert orjson.loads(body) == json.loads(body)
    ascii_only = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    if ascii_only.isascii() and b"\x7f" not in ascii_only:
        assert ascii_only == body


@unhurried
@given(rows, rows, st.sampled_from(sorted(ROW_FIELDS - {"salt", "commitments"})))
def test_a_different_column_makes_a_different_leaf(
    row: dict[str, Any], other: dict[str, Any], field: str
) -> None:
    changed = {**row, field: other[field]}
    same = canonical_json(row_record(1, 0, changed)) == canonical_json(row_record(1, 0, row))
    assert (leaf_bytes(1, changed) == leaf_bytes(1, row)) == same


@unhurried
@given(rows, companions, companions, st.sampled_from(sorted(COMPANION_FIELDS)))
def test_a_different_companion_field_makes_a_different_leaf(
    row: dict[str, Any], companion: dict[str, Any], other: dict[str, Any], field: str
) -> None:
    changed = {**companion, field: other[field]}
    same = canonical_json(changed) == canonical_json(companion)
    leaves = [leaf_bytes(1, {**row, "companion": c}) for c in (companion, changed)]
    assert (leaves[0] == leaves[1]) == same


@unhurried
@given(rows)
def test_redaction_never_changes_a_leaf(row: dict[str, Any]) -> None:
    if row["salt"] is not None:
        erased = redacted(row)
        assert leaf_bytes(1, erased) == leaf_bytes(1, row)
        assert erased["commitments"].keys() == PERSONAL_FIELDS
