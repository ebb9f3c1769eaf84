"""Bundles, and the standalone verifier: what holds, and every way in which one does not."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import bundle, canonical, merkle, verify
from audit.bundle import BundleError, BundleScope, write_bundle
from audit.canonical import LEAF_VERSION, canonical_json, leaf_bytes, redacted
from audit.checkpoint import Checkpoint
from audit.merkle import leaf_hash
from audit.note import VerifierKey
from tests.audit.sample_log import (
    FIRST_KEY,
    ORIGIN,
    SECOND_KEY,
    START,
    STEP,
    STRANGER_KEY,
    WITNESS_KEY,
    SampleLog,
    sample_log,
    sample_row,
    write_file,
)

ROOT = Path(__file__).parents[2]
VERIFIER = ROOT / "audit" / "verify.py"
RECORDED = ROOT / "tests" / "data" / "audit-bundle-v1.zip"

FIRST, END, SIZE = 7, 107, 120
CHECKPOINT_SIZES = (20, 64, 90, SIZE)
ALL_KEYS = [FIRST_KEY.verifier, SECOND_KEY.verifier]


@pytest.fixture(scope="module")
def log() -> SampleLog:
    return sample_log(SIZE)


@pytest.fixture(scope="module")
def good(log: SampleLog) -> bytes:
    return log.bundle([log.note(size) for size in CHECKPOINT_SIZES], FIRST, END)


@pytest.fixture(scope="module")
def small() -> bytes:
    log = sample_log(16)
    return log.bundle([log.note(9), log.note(16)], 3, 14)


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Verify a bundle given as bytes, with the first key trusted unless said otherwise."""

    def run(content: bytes, *vkeys: str, kept: str | None = None) -> dict[str, Any]:
        path = write_file(tmp_path / "bundle.zip", content)
        return verify.verify(path, vkeys or [FIRST_KEY.verifier.vkey], kept)

    return run


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(content: bytes, **changes: bytes) -> bytes:
    """The bundle with members replaced; ``rows_jsonl`` stands for ``rows.jsonl``."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members(content).items():
            archive.writestr(name, changes.get(name.replace(".", "_"), data))
    return target.getvalue()


def with_rows(content: bytes, change: Callable[[list[bytes]], object]) -> bytes:
    """The bundle after `change` did something to the list of its row lines."""
    lines = members(content)["rows.jsonl"].splitlines(keepends=True)
    change(lines)
    return rebuilt(content, rows_jsonl=b"".join(lines))


def with_record(content: bytes, leaf: int, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The bundle after `change` did something to the record of one leaf."""

    def edit(lines: list[bytes]) -> None:
        record = json.loads(lines[leaf - FIRST])
        change(record)
        lines[leaf - FIRST] = canonical_json(record).encode() + b"\n"

    return with_rows(content, edit)


def setting(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        *holders, name = path.split(".")
        for holder in holders:
            record = record[holder]
        record[name] = value

    return change


def damage(check: Callable[..., Any], content: bytes, *vkeys: str) -> tuple[str, int | None]:
    with pytest.raises(verify.Damage) as caught:
        check(content, *vkeys)
    return caught.value.kind, caught.value.leaf


# ---- What holds


def test_a_good_bundle_holds(check: Any, good: bytes, log: SampleLog) -> None:
    findings = check(good)
    assert findings["log"] == ORIGIN
    assert findings["leaves"] == "[7, 107) of 120"
    assert findings["checkpoints"] == "4, of sizes 20 to 120"
    assert findings["signed by"] == f"{ORIGIN}+769506ad"
    assert findings["root"] == log.checkpoint(SIZE).text.splitlines()[2]
    assert findings["rows"] == "100 in all, 100 of the time asked for, 2 by other programs"
    assert findings["cautions"] == [
        "rows of the time asked for may have been sealed outside of these leaves"
    ]


def test_the_whole_log_needs_no_caution(check: Any, log: SampleLog) -> None:
    assert check(log.bundle([log.note(SIZE)]))["cautions"] == []


def test_keys_of_the_bundle_itself_are_cautioned_about(tmp_path: Path, log: SampleLog) -> None:
    path = write_file(tmp_path / "bundle.zip", log.bundle([log.note(SIZE)]))
    (caution,) = verify.verify(path)["cautions"]
    assert "compare them" in caution


@pytest.mark.parametrize("size", [0, 1, 2, 3, 31, 32, 33])
def test_every_range_of_small_logs_holds(check: Any, size: int) -> None:
    log = sample_log(size)
    for first in {0, 1, size // 2, size} & set(range(size + 1)):
        for end in {first, first + 1, size - 1, size} & set(range(first, size + 1)):
            within = {first, (first + end) // 2, end} - {size}
            notes = [log.note(n) for n in sorted(within)] + [log.note(size)]
            check(log.bundle(notes, first, end))


def test_the_edges_of_a_time_range_are_looked_at(check: Any, log: SampleLog) -> None:
    notes = [log.note(SIZE)]
    inner = log.bundle(notes, 10, 20, since=START + 11 * STEP, until=START + 19 * STEP)
    findings = check(inner)
    assert "8 of the time asked for" in findings["rows"]
    assert len(findings["cautions"]) == 1
    wide = log.bundle(notes, 10, 20, since=START + 10 * STEP, until=START + 20 * STEP)
    assert [text for text in check(wide)["cautions"] if "edge" in text] == [
        "leaf 10 at the edge is of the time asked for: there may be more",
        "leaf 19 at the edge is of the time asked for: there may be more",
    ]
    whole = log.bundle(notes, since=START, until=START + timedelta(days=1))
    assert check(whole)["cautions"] == []


def test_redacted_rows_hold_and_are_counted(check: Any) -> None:
    log = sample_log(SIZE)
    for leaf in (30, 31):
        log.rows[leaf] = redacted(log.rows[leaf])
    findings = check(log.bundle([log.note(SIZE)], FIRST, END))
    assert "2 redacted" in findings["rows"]


def test_rotated_keys_hold_for_who_trusts_both(check: Any, log: SampleLog) -> None:
    notes = [
        log.note(20, FIRST_KEY),
        log.note(64, FIRST_KEY, SECOND_KEY),
        log.note(SIZE, SECOND_KEY),
    ]
    content = log.bundle(notes, FIRST, END, keys=ALL_KEYS)
    both = [key.vkey for key in ALL_KEYS]
    assert check(content, *both)["signed by"].count(ORIGIN) == 2
    for vkey in both:
        assert damage(check, content, vkey) == ("wrong key", None)
    check(log.bundle([notes[1], log.note(SIZE, FIRST_KEY, SECOND_KEY)], FIRST, END), both[1])


def test_a_witness_can_be_demanded(check: Any, log: SampleLog, good: bytes) -> None:
    trusted = [FIRST_KEY.verifier.vkey, WITNESS_KEY.verifier.vkey]
    assert damage(check, good, *trusted) == ("wrong key", None)
    last = log.note(SIZE)
    cosigned = last.with_signatures(WITNESS_KEY.sign(last.text, 1_763_884_800))
    assert "witness.example/w1" in check(log.bundle([cosigned]), *trusted)["signed by"]
    # An earlier checkpoint's cosignature says nothing about the last one.
    early = log.note(64)
    early = early.with_signatures(WITNESS_KEY.sign(early.text, 1_763_884_800))
    assert damage(check, log.bundle([early, last]), *trusted) == ("wrong key", None)


def test_kept_checkpoints_are_held_against_the_bundle(
    check: Any, log: SampleLog, good: bytes, tmp_path: Path
) -> None:
    def kept(content: bytes) -> str:
        return write_file(tmp_path / "kept.txt", content)

    findings = check(good, kept=kept(log.note(33).encode()))
    assert findings["checkpoints"] == "5, of sizes 20 to 120"
    check(good, kept=kept(log.note(33).encode() + b"\n" + log.note(SIZE).encode()))
    for size in (33, SIZE):
        fork = Checkpoint(ORIGIN, size, bytes(32)).sign(FIRST_KEY)
        with pytest.raises(verify.Damage, match=f"inconsistent.*size {size}"):
            check(good, kept=kept(fork.encode()))
    for size in (FIRST - 1, END + 1):
        with pytest.raises(verify.Unreadable, match=f"size {size}"):
            check(good, kept=kept(log.note(size).encode()))
    with pytest.raises(verify.Unreadable):
        check(good, kept=str(tmp_path / "missing"))


def test_the_recorded_hashes_are_no_evidence(check: Any, good: bytes) -> None:
    check(rebuilt(good, leaves_bin=bytes(32 * (END - FIRST))))
    check(rebuilt(good, leaves_bin=b""))


# ---- Rows that are not as they were sealed

CHANGES = [
    ("trace_id", "019ab0c4-6f40-7c11-8a5e-2f6d1b0c9e77"),
    ("timestamp", "2026-11-23T07:00:00.000001Z"),
    ("timestamp", None),
    ("timestamp", 5),
    ("reason_codes", ["E0_nonzero_exit"]),
    ("reason_codes", "[]"),
    ("session_id", "somebody else"),
    ("session_id", None),
    ("user_ip", "198.51.100.1"),
    ("user_ip", 7),
    ("salt", "00" * 16),
    ("salt", None),
    ("salt", "00" * 15),
    ("salt", "no hex"),
    ("companion", None),
    ("companion", {}),
    ("companion", 7),
    ("companion", "text"),
    ("companion.status", "WARNING"),
    ("companion.http_status", 500),
    ("companion.http_status", 200.0),
    ("companion.message", "Nothing happened."),
    ("companion.user_agent", "somebody else"),
    ("companion.detail", {}),
    ("companion.detail", {"attempt": 1.0, "limited": False}),
    ("companion.detail", {"attempt": True, "limited": False}),
    ("companion.detail.attempt", 2),
    ("companion.new", "field"),
    ("version", 2),
    ("new", "field"),
    ("commitments", {}),
    ("commitments", {"form": "plain"}),
]


@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_changed(check: Any, good: bytes, path: str, value: Any) -> None:
    assert damage(check, with_record(good, 40, setting(path, value))) == ("changed", 40)


@pytest.mark.parametrize("leaf", [FIRST, 19, 20, 63, 64, 100, END - 1])
def test_changed_at_every_place(check: Any, good: bytes, leaf: int) -> None:
    change = setting("companion.status", "WARNING")
    assert damage(check, with_record(good, leaf, change)) == ("changed", leaf)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"7\n",
        b"{\n",
        b"\xff\n",
        b"[" * 100_000 + b"\n",
        b"9" * 10_000 + b"\n",
        b'{"a":NaN}\n',
    ],
)
def test_a_line_that_is_no_row_is_a_changed_row(check: Any, good: bytes, line: bytes) -> None:
    content = with_rows(good, lambda lines: lines.__setitem__(40 - FIRST, line))
    assert damage(check, content) == ("changed", 40)


def test_a_field_that_stands_twice_is_a_changed_row(check: Any, good: bytes) -> None:
    def double(lines: list[bytes]) -> None:
        lines[33] = lines[33].replace(b'{"commitments"', b'{"user_ip":"198.51.100.9","commitments"')

    assert damage(check, with_rows(good, double)) == ("changed", 40)


def test_a_wrong_leaf_number_is_found(check: Any, good: bytes) -> None:
    with pytest.raises(verify.Damage, match="1 rows state a wrong leaf number"):
        check(with_record(good, 40, setting("index", 41)))


def test_a_redaction_cannot_be_forged(check: Any, good: bytes, log: SampleLog) -> None:
    real = redacted(log.rows[40])["commitments"]

    def redact(record: dict[str, Any], commitments: dict[str, Any]) -> None:
        record["companion"]["user_agent"] = None
        record |= {"session_id": None, "user_ip": None, "salt": None, "commitments": commitments}

    check(with_record(good, 40, lambda record: redact(record, real)))  # withheld, not erased
    for change in (
        {"user_ip": real["session_id"]},
        {"user_ip": "198.51.100.9"},
        {"user_ip": None},
        {"form": "committed"},
    ):
        content = with_record(good, 40, lambda record, c=change: redact(record, {**real, **c}))
        assert damage(check, content) == ("changed", 40)
    content = with_record(good, 40, setting("commitments", real))  # the values are still there
    assert damage(check, content) == ("changed", 40)


def test_a_plain_row_cannot_pass_for_a_redacted_one(check: Any, good: bytes) -> None:
    foreign = 59

    def pose(record: dict[str, Any]) -> None:
        plain = {"session_id": record["session_id"], "user_ip": record["user_ip"]}
        record |= {"session_id": None, "user_ip": None}
        record["commitments"] = {"form": "plain", "user_agent": None, **plain}

    assert damage(check, with_record(good, foreign, pose)) == ("changed", foreign)


def renumber(lines: list[bytes]) -> None:
    for index, line in enumerate(lines, FIRST):
        record = json.loads(line)
        record["index"] = index
        lines[index - FIRST] = canonical_json(record).encode() + b"\n"


@pytest.mark.parametrize("renumbered", [False, True])
@pytest.mark.parametrize("leaf", [FIRST, 20, 64, END - 2])
def test_deleted(check: Any, good: bytes, leaf: int, renumbered: bool) -> None:
    def change(lines: list[bytes]) -> None:
        del lines[leaf - FIRST]
        if renumbered:
            renumber(lines)

    assert damage(check, with_rows(good, change)) == ("deleted", leaf)


def test_several_deleted(check: Any, good: bytes) -> None:
    def change(lines: list[bytes]) -> None:
        del lines[50:53], lines[20:30]

    assert damage(check, with_rows(good, change)) == ("deleted", FIRST + 20)


@pytest.mark.parametrize("renumbered", [False, True])
@pytest.mark.parametrize("leaf", [FIRST, 20, 64, END])
@pytest.mark.parametrize("what", ["forged", "copy of a later row", "copy of an earlier row"])
def test_inserted(
    check: Any, good: bytes, log: SampleLog, leaf: int, what: str, renumbered: bool
) -> None:
    def change(lines: list[bytes]) -> None:
        row = {**log.rows[40], "trace_id": log.rows[41]["trace_id"]}
        forged = canonical_json(canonical.row_record(1, leaf, row)).encode() + b"\n"
        new = {"forged": forged, "copy of a later row": lines[-1]}.get(what, lines[0])
        lines.insert(leaf - FIRST, new)
        if renumbered:
            renumber(lines)

    kind, found = damage(check, with_rows(good, change))
    assert kind == "inserted"
    # A copy beside its original: which of the two was put in nobody can say.
    assert found == leaf or (found == leaf + 1 and "copy" in what)


def test_inserted_while_another_row_was_removed(check: Any, good: bytes, log: SampleLog) -> None:
    def change(lines: list[bytes]) -> None:
        row = {**log.rows[40], "trace_id": log.rows[41]["trace_id"]}
        lines.insert(30, canonical_json(canonical.row_record(1, 30, row)).encode() + b"\n")
        del lines[60]

    assert damage(check, with_rows(good, change)) == ("inserted", FIRST + 30)


def test_rows_after_the_end_are_noticed_even_when_genuine(check: Any, log: SampleLog) -> None:
    good = log.bundle([log.note(SIZE)], 0, SIZE - 5)

    def append(lines: list[bytes], count: int) -> None:
        for leaf in range(SIZE - 5, SIZE - 5 + count):
            record = canonical.row_record(1, leaf, log.rows[min(leaf, SIZE - 1)])
            lines.append(canonical_json(record).encode() + b"\n")

    for count in (1, 5, 6):
        content = with_rows(good, lambda lines, n=count: append(lines, n))
        assert damage(check, content) == ("inserted", SIZE - 5)
    whole = log.bundle([log.note(SIZE)])
    content = with_rows(whole, lambda lines: lines.append(lines[3]))
    assert damage(check, content) == ("inserted", SIZE)


@pytest.mark.parametrize("renumbered", [False, True])
@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 99), (30, 31), (12, 60), (98, 99)])
def test_swapped(check: Any, good: bytes, one: int, other: int, renumbered: bool) -> None:
    def change(lines: list[bytes]) -> None:
        lines[one], lines[other] = lines[other], lines[one]
        if renumbered:
            renumber(lines)

    assert damage(check, with_rows(good, change)) == ("swapped", FIRST + one)


@pytest.mark.parametrize("kept_rows", [0, 1, 57, 99])
def test_cut_off(check: Any, good: bytes, kept_rows: int) -> None:
    content = with_rows(good, lambda lines: lines.__delitem__(slice(kept_rows, None)))
    assert damage(check, content) == ("cut off", FIRST + kept_rows)


def test_cut_off_together_with_the_record(check: Any, good: bytes) -> None:
    cut = with_rows(good, lambda lines: lines.__delitem__(slice(60, None)))
    cut = rebuilt(cut, leaves_bin=members(good)["leaves.bin"][: 60 * 32])
    assert damage(check, cut) == ("cut off", 64)  # the last signed root that is reached
    with pytest.raises(verify.Damage, match=r"one of \[64, 90\)"):
        check(cut)
    manifest = json.loads(members(good)["manifest.json"])
    lied = rebuilt(cut, manifest_json=canonical_json({**manifest, "end": FIRST + 60}).encode())
    with pytest.raises((verify.Damage, verify.Unreadable)):
        check(lied)


def test_rewritten_with_its_record(check: Any) -> None:
    """Who alters row, leaf hash and tree alike is caught by the signature, up to the interval."""
    log = sample_log(SIZE)
    notes = [log.note(size) for size in CHECKPOINT_SIZES]
    log.rows[70]["companion"]["status"] = "WARNING"
    log.hashes[70] = leaf_hash(leaf_bytes(LEAF_VERSION, log.rows[70]))
    log.seal()
    content = log.bundle(notes, FIRST, END)
    assert damage(check, content) == ("rewritten", 64)
    with pytest.raises(verify.Damage, match=r"one of \[64, 90\)"):
        check(content)
    earlier = with_record(content, 30, setting("user_ip", "198.51.100.9"))
    assert damage(check, earlier) == ("changed", 30)  # its record is still vouched for


@pytest.mark.parametrize("side", ["left", "right"])
def test_wrong_hashes_for_the_leaves_outside(check: Any, good: bytes, side: str) -> None:
    proof = json.loads(members(good)["proof.json"])
    proof[side][0] = "A" * 43 + "="
    kind, _ = damage(check, rebuilt(good, proof_json=canonical_json(proof).encode()))
    assert kind == "rewritten"


def test_too_many_or_too_few_hashes_for_the_leaves_outside(check: Any, good: bytes) -> None:
    proof = json.loads(members(good)["proof.json"])
    for side in ("left", "right"):
        for hashes, match in ((proof[side] * 2, "too many"), (proof[side][:-1], "too few")):
            content = canonical_json({**proof, side: hashes}).encode()
            with pytest.raises(verify.Unreadable, match=match):
                check(rebuilt(good, proof_json=content))


# ---- Signatures, keys, checkpoints


def test_bad_signature(check: Any, good: bytes) -> None:
    text = members(good)["checkpoints.txt"].decode()
    before, dash, after = text.rpartition("\u2014 ")
    name, _, signature = after.partition(" ")
    flipped = signature[:20] + ("A" if signature[20] != "A" else "B") + signature[21:]
    content = rebuilt(good, checkpoints_txt=f"{before}{dash}{name} {flipped}".encode())
    assert damage(check, content) == ("bad signature", None)
    resized = text.replace("\n64\n", "\n65\n")
    assert damage(check, rebuilt(good, checkpoints_txt=resized.encode()))[0] == "bad signature"


def test_wrong_key(check: Any, log: SampleLog, good: bytes, tmp_path: Path) -> None:
    assert damage(check, good, STRANGER_KEY.verifier.vkey) == ("wrong key", None)
    forged = log.bundle([log.note(SIZE, STRANGER_KEY)], keys=[STRANGER_KEY.verifier])
    assert damage(check, forged) == ("wrong key", None)
    # One stranger's checkpoint among good ones is not passed over either.
    mixed = log.bundle([log.note(64, STRANGER_KEY), log.note(SIZE)], FIRST, END)
    assert damage(check, mixed) == ("wrong key", None)
    manifest = json.loads(members(good)["manifest.json"])
    other = canonical_json({**manifest, "origin": "example.org/other"}).encode()
    assert damage(check, rebuilt(good, manifest_json=other)) == ("wrong key", None)


def test_another_logs_checkpoint_proves_nothing_here(check: Any, log: SampleLog) -> None:
    note = Checkpoint("example.org/other", SIZE, log.checkpoint(SIZE).root).sign(FIRST_KEY)
    assert damage(check, log.bundle([note])) == ("wrong key", None)


def test_the_stated_size_is_that_of_the_last_checkpoint(check: Any, good: bytes) -> None:
    manifest = json.loads(members(good)["manifest.json"])
    content = rebuilt(good, manifest_json=canonical_json({**manifest, "size": SIZE + 1}).encode())
    with pytest.raises(verify.Unreadable, match="not of the size that is stated"):
        check(content)


def test_a_witness_is_not_the_log(check: Any, log: SampleLog) -> None:
    note = log.checkpoint(SIZE).sign()
    note = note.with_signatures(WITNESS_KEY.sign(note.text, 1))
    content = log.bundle([note], keys=[WITNESS_KEY.verifier])
    assert damage(check, content, WITNESS_KEY.verifier.vkey) == ("wrong key", None)


def test_inconsistent_checkpoints(check: Any, log: SampleLog) -> None:
    fork = Checkpoint(ORIGIN, 64, sample_log(64, seed=2).checkpoint(64).root).sign(FIRST_KEY)
    for notes in ([fork, log.note(SIZE)], [log.note(20), log.note(64), fork, log.note(SIZE)]):
        with pytest.raises(verify.Damage, match=r"inconsistent checkpoints.*size 64"):
            check(log.bundle(notes, FIRST, END))
    fork = Checkpoint(ORIGIN, SIZE, bytes(32)).sign(FIRST_KEY)
    with pytest.raises(verify.Damage, match=r"inconsistent checkpoints.*size 120"):
        check(log.bundle([fork, log.note(SIZE)], FIRST, END))
    check(log.bundle([log.note(SIZE), log.note(SIZE)], FIRST, END))  # twice the same is no fork


# ---- What cannot be read


def test_unreadable_files(check: Any, good: bytes, tmp_path: Path) -> None:
    for content in (b"", b"no zip", good[: len(good) // 2], good[:-10]):
        with pytest.raises(verify.Unreadable):
            check(content)
    with pytest.raises(verify.Unreadable):
        verify.verify(str(tmp_path / "missing.zip"))
    with pytest.raises(verify.Unreadable):
        verify.verify(str(tmp_path))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_exactly_the_members_of_a_bundle(check: Any, good: bytes) -> None:
    parts = members(good)
    for name in parts:
        for names in (
            [other for other in parts if other != name],
            [*parts, name],
            [*parts, f"../{name}"],
        ):
            target = io.BytesIO()
            with zipfile.ZipFile(target, "w") as archive:
                for member in names:
                    archive.writestr(member, parts.get(member, b""))
            with pytest.raises(verify.Unreadable, match="members"):
                check(target.getvalue())


@pytest.mark.parametrize(
    ("member", "text"),
    [
        ("manifest_json", ""),
        ("manifest_json", "[]"),
        ("manifest_json", "{}"),
        ("manifest_json", '{"format":"techno-audit-bundle/v2"}'),
        ("manifest_json", "[" * 100_000),
        ("proof_json", "{}"),
        ("proof_json", '{"left":[],"right":[]}'),
        ("proof_json", '{"left":7,"right":7}'),
        ("proof_json", '{"left":["YQ=="],"right":[]}'),
        ("checkpoints_txt", ""),
        ("checkpoints_txt", "\n\n"),
        ("checkpoints_txt", "a\n\nb\n"),
        ("checkpoints_txt", "a\nb\nc\n\n\u2014 x y\n"),
    ],
)
def test_unreadable_members(check: Any, good: bytes, member: str, text: str) -> None:
    with pytest.raises(verify.Unreadable):
        check(rebuilt(good, **{member: text.encode()}))


@pytest.mark.parametrize(
    "change",
    [
        {"first": -1},
        {"first": END + 1},
        {"end": SIZE + 1},
        {"size": SIZE + 1},
        {"size": 2**63},
        {"first": "7"},
        {"first": None},
        {"first": 7.5},
        {"since": 5},
        {"first": FIRST + 1},
        {"end": END - 1},
    ],
)
def test_a_manifest_that_does_not_fit(check: Any, good: bytes, change: dict[str, Any]) -> None:
    manifest = json.loads(members(good)["manifest.json"])
    content = rebuilt(good, manifest_json=canonical_json({**manifest, **change}).encode())
    with pytest.raises((verify.Unreadable, verify.Damage)):
        check(content)


def test_unreadable_keys(good: bytes, tmp_path: Path) -> None:
    path = write_file(tmp_path / "bundle.zip", good)
    for vkey in ("nonsense", FIRST_KEY.verifier.vkey[:-4], FIRST_KEY.verifier.vkey.upper()):
        with pytest.raises(verify.Unreadable):
            verify.verify(path, [vkey])
    empty = write_file(tmp_path / "bundle.zip", rebuilt(good, keys_txt=b""))
    with pytest.raises(verify.Damage, match="wrong key"):
        verify.verify(empty)


# ---- Nothing slips through


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
@given(data=st.data())
def test_no_flipped_byte_in_the_rows_goes_unnoticed(data: Any, check: Any, small: bytes) -> None:
    original = members(small)["rows.jsonl"]
    position = data.draw(st.integers(0, len(original) - 1))
    altered = bytearray(original)
    altered[position] ^= data.draw(st.integers(1, 255))
    try:
        check(rebuilt(small, rows_jsonl=bytes(altered)))
    except verify.Damage:
        return

    # Only another spelling of the same JSON may pass.
    def rows(text: bytes) -> list[Any]:
        return [json.loads(line) for line in text.splitlines()]

    assert rows(bytes(altered)) == rows(original)


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
@given(data=st.data())
def test_no_byte_anywhere_makes_a_traceback(data: Any, check: Any, small: bytes) -> None:
    altered = bytearray(small)
    for _ in range(data.draw(st.integers(1, 3))):
        altered[data.draw(st.integers(0, len(small) - 1))] = data.draw(st.integers(0, 255))
    try:
        check(bytes(altered))
    except (verify.Damage, verify.Unreadable):
        return


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)
@given(order=st.permutations(range(12)))
def test_no_other_order_passes(check: Any, order: list[int]) -> None:
    log = sample_log(12)
    content = with_small_rows(log, order)
    if order == list(range(12)):
        check(content)
    else:
        kind, leaf = damage(check, content)
        assert (kind, leaf) == ("swapped", next(i for i, n in enumerate(order) if i != n))


def with_small_rows(log: SampleLog, order: list[int]) -> bytes:
    content = log.bundle([log.note(len(log.rows))])
    lines = members(content)["rows.jsonl"].splitlines(keepends=True)
    return rebuilt(content, rows_jsonl=b"".join(lines[i] for i in order))


# ---- The writer


def test_the_same_content_makes_the_same_bytes(log: SampleLog, good: bytes) -> None:
    assert log.bundle([log.note(size) for size in CHECKPOINT_SIZES], FIRST, END) == good


def test_rows_are_canonical_lines(good: bytes) -> None:
    for line in members(good)["rows.jsonl"].decode("ascii").splitlines():
        assert canonical_json(json.loads(line)) == line


@pytest.mark.parametrize(
    ("sizes", "first", "end"),
    [
        ([], 0, 5),
        ([4], 0, 5),
        ([5], 5, 4),
        ([5], -1, 4),
        ([3, 2], 0, 2),
        ([1, 5], 2, 5),
        ([4, 5], 0, 3),
    ],
)
def test_what_does_not_fit_together_is_not_written(sizes: list[int], first: int, end: int) -> None:
    log = sample_log(5)
    with pytest.raises(BundleError):
        log.bundle([log.note(size) for size in sizes], first, end)


def test_a_short_hash_is_not_written(log: SampleLog) -> None:
    with pytest.raises(BundleError):
        write_bundle(
            io.BytesIO(),
            BundleScope(origin=ORIGIN, first=0, end=1, created=START),
            rows=[],
            leaf_hashes=[b"short"],
            checkpoints=[log.note(1)],
            keys=[],
            nodes=log.source,
        )


def test_a_damaged_log_can_be_exported(check: Any) -> None:
    log = sample_log(50)
    note = log.note(50)
    log.rows[20]["user_ip"] = "198.51.100.9"
    assert damage(check, log.bundle([note])) == ("changed", 20)


class Unseekable(io.RawIOBase):
    """A target that can only be written to, like an HTTP answer."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.content += data
        return len(data)


def test_a_bundle_can_be_written_to_a_stream(check: Any, log: SampleLog) -> None:
    target = Unseekable()
    count = write_bundle(
        target,  # type: ignore[arg-type]
        BundleScope(origin=ORIGIN, first=0, end=SIZE, created=START),
        rows=((LEAF_VERSION, row) for row in log.rows),
        leaf_hashes=iter(log.hashes),
        checkpoints=[log.note(SIZE)],
        keys=[FIRST_KEY.verifier],
        nodes=log.source,
    )
    assert count == SIZE
    check(bytes(target.content))


def test_writing_and_verifying_stay_at_flat_memory(tmp_path: Path) -> None:
    rows_count = 2_500
    row = sample_row(1, Random(1))
    frontier = merkle.Frontier()
    for _ in range(rows_count):
        frontier.append(leaf_hash(leaf_bytes(LEAF_VERSION, row)))
    note = Checkpoint(ORIGIN, rows_count, frontier.root()).sign(FIRST_KEY)

    def repeated() -> Iterator[tuple[int, dict[str, Any]]]:
        for _ in range(rows_count):
            yield LEAF_VERSION, row

    tracemalloc.start()
    with (tmp_path / "bundle.zip").open("wb") as target:
        bundle.write_bundle(
            target,
            BundleScope(origin=ORIGIN, first=0, end=rows_count, created=START),
            rows=repeated(),
            leaf_hashes=(leaf_hash(leaf_bytes(LEAF_VERSION, row)) for _ in range(rows_count)),
            checkpoints=[note],
            keys=[FIRST_KEY.verifier],
            nodes=lambda wanted: {},
        )
    verify.verify(str(tmp_path / "bundle.zip"))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        content_bytes = sum(info.file_size for info in archive.infolist())
    assert content_bytes > 1_600_000
    assert peak_bytes < 800_000  # a block of rows, and the buffers


# ---- The verifier as its own program

ISOLATED = """
import runpy, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "audit", "techno", "psycopg", "orjson", "tests"}:
            raise ImportError(f"the verifier must not import {name}")

sys.meta_path.insert(0, Refusing())
path, sys.argv = sys.argv[1], sys.argv[1:]
try:
    runpy.run_path(path, run_name="__main__")
finally:
    foreign = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
    print("modules:", *sorted(foreign), file=sys.stderr)
"""


def run_verifier(
    tmp_path: Path, content: bytes, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a copy of verify.py alone in a directory, isolated, with the project out of reach."""
    copy = tmp_path / "verify.py"
    copy.write_bytes(VERIFIER.read_bytes())
    path = write_file(tmp_path / "bundle.zip", content)
    return subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", ISOLATED, str(copy), path, *arguments],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_verifier_runs_alone_and_says_ok(tmp_path: Path, good: bytes) -> None:
    result = run_verifier(tmp_path, good, "--vkey", FIRST_KEY.verifier.vkey)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("OK ")
    assert "[7, 107) of 120" in result.stdout
    modules = result.stderr.split("modules:")[1].split()
    assert "cryptography" in modules
    assert not {"django", "audit", "techno", "psycopg", "orjson"} & set(modules)


def test_the_verifier_names_damage_with_status_1(tmp_path: Path, good: bytes) -> None:
    content = with_record(good, 40, setting("user_ip", "198.51.100.9"))
    result = run_verifier(tmp_path, content, "--vkey", FIRST_KEY.verifier.vkey)
    assert result.returncode == 1
    assert result.stdout.startswith("DAMAGED      changed: leaf 40: ")
    result = run_verifier(tmp_path, good, "--vkey", SECOND_KEY.verifier.vkey)
    assert result.returncode == 1
    assert "wrong key" in result.stdout


def test_the_verifier_says_unreadable_with_status_2(tmp_path: Path) -> None:
    result = run_verifier(tmp_path, b"no zip")
    assert result.returncode == 2
    assert result.stdout.startswith("UNREADABLE ")
    assert run_verifier(tmp_path, b"", "--no-such-option").returncode == 2


def test_no_bundle_can_play_with_the_terminal(tmp_path: Path, good: bytes) -> None:
    manifest = json.loads(members(good)["manifest.json"])
    hostile = {**manifest, "since": "\x1b[2J\u202e\ud800é", "until": "\x9b"}
    content = rebuilt(good, manifest_json=canonical_json(hostile).encode())
    result = run_verifier(tmp_path, content)
    assert result.returncode == 0, result.stderr
    assert "\\x1b[2J\\x202e\\xd800" in result.stdout
    assert all(c.isprintable() or c == "\n" for c in result.stdout)


def test_the_verifier_takes_kept_checkpoints(tmp_path: Path, good: bytes) -> None:
    fork = Checkpoint(ORIGIN, 64, bytes(32)).sign(FIRST_KEY)
    kept = write_file(tmp_path / "kept.txt", fork.encode())
    result = run_verifier(tmp_path, good, "--kept", kept)
    assert result.returncode == 1
    assert "inconsistent checkpoints" in result.stdout


def test_the_verifier_imports_only_the_standard_library_and_cryptography() -> None:
    found: set[str] = set()
    for node in ast.walk(ast.parse(VERIFIER.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module).partition(".")[0])
    assert found - sys.stdlib_module_names == {"cryptography"}


def test_no_neighbour_of_the_verifier_hides_a_standard_module() -> None:
    # Run as `python audit/verify.py`, it finds the files beside it before the library.
    neighbours = {path.stem for path in VERIFIER.parent.glob("*.py")} - {"__init__"}
    assert not neighbours & sys.stdlib_module_names
    assert "cryptography" not in neighbours


# ---- The recorded bundle: whatever changes, these bytes must verify


def test_the_recorded_bundle_verifies_for_ever(tmp_path: Path) -> None:
    keys = [key.verifier.vkey for key in (FIRST_KEY, SECOND_KEY, WITNESS_KEY)]
    findings = verify.verify(str(RECORDED), keys)
    assert findings["leaves"] == "[7, 307) of 320"
    assert findings["root"] == "tfieocciEfD0fEzTEinOpo4FE1youDHZ20c+FzK7ugo="
    assert findings["checkpoints"] == "5, of sizes 50 to 320"
    assert "300 in all" in findings["rows"]
    assert "3 redacted, 11 by other programs" in findings["rows"]
    result = run_verifier(tmp_path, RECORDED.read_bytes(), *(f"--vkey={key}" for key in keys))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_writers_side_reads_the_recorded_rows_alike() -> None:
    content = members(RECORDED.read_bytes())
    recorded = content["leaves.bin"]
    lines = content["rows.jsonl"].splitlines()
    assert len(lines) * 32 == len(recorded)
    for number, line in enumerate(lines):
        row = json.loads(line)
        version = row.pop("version")
        assert row.pop("index") == 7 + number
        assert leaf_hash(leaf_bytes(version, row)) == recorded[32 * number : 32 * number + 32]


def test_the_recorded_keys_are_read() -> None:
    keys = members(RECORDED.read_bytes())["keys.txt"].decode().split()
    assert [VerifierKey.parse(key) for key in keys] == [
        FIRST_KEY.verifier,
        SECOND_KEY.verifier,
        WITNESS_KEY.verifier,
    ]
