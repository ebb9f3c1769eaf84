"""The bytes of the journal, pinned, and read by somebody who has only the description."""

import struct
import zlib
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.journal import Journal
from audit.journal_format import (
    Cursor,
    Frame,
    SegmentHeader,
    State,
    decode_frame,
    encode_frames,
)
from audit.journal_scan import Bad, Extent, Fault, scan_segment
from tests.audit.journal_faults import segments

SALT = bytes(range(16))
HEADER = SegmentHeader(7, 42, 1_700_000_000_000_000, SALT, 6, 4096, SALT[::-1], 4000)

PINNED_HEADER = (
    "544543484e4f4a31000100000000000000000007000000000000002a00060a24181e4000"
    "000102030405060708090a0b0c0d0e0f00000000000000060000000000001000"
    "0f0e0d0c0b0a090807060504030201000000000000000fa0"
)
PINNED_FRAME = "a7544a1e00000003000000000000002a00060a24181e4000"


def test_a_header_is_these_bytes() -> None:
    body = bytes.fromhex(PINNED_HEADER)
    one = body + struct.pack(">I", zlib.crc32(body))
    assert len(one) == 96
    assert HEADER.encode() == one + one
    assert SegmentHeader.decode(one + one) == (HEADER, 2)


def test_a_frame_is_these_bytes() -> None:
    start = bytes.fromhex(PINNED_FRAME)
    crc = struct.pack(">I", zlib.crc32(SALT + start))
    digest = sha256(SALT + start + b"row").digest()[:16]
    assert encode_frames(SALT, 42, HEADER.created_us, [b"row"]) == start + crc + digest + b"row"


def stranger(data: bytes) -> list[tuple[int, bytes]]:
    """A reader written from the description alone."""
    assert data[:8] == b"TECHNOJ1"
    assert data[:96] == data[96:192]
    assert zlib.crc32(data[:92]) == int.from_bytes(data[92:96], "big")
    salt, at, records = data[36:52], 192, []
    while data[at : at + 4] == b"\xa7TJ\x1e":
        length, sequence = struct.unpack(">IQ", data[at + 4 : at + 16])
        payload = data[at + 44 : at + 44 + length]
        assert zlib.crc32(salt + data[at : at + 24]) == int.from_bytes(data[at + 24 : at + 28])
        whole = sha256(salt + data[at : at + 24] + payload).digest()
        assert data[at + 28 : at + 44] == whole[:16]
        records.append((sequence, payload))
        at += 44 + length
    assert not data[at:].strip(b"\0")
    return records


def test_a_stranger_can_read_a_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", segment_bytes=300)
    rows = [b"row %d" % number * number for number in range(20)]
    for row in rows:
        journal.append(row)
    read = [each for path in segments(tmp_path / "journal") for each in stranger(path.read_bytes())]
    assert read == list(enumerate(rows, 1))


def test_each_segment_names_the_end_of_the_one_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", segment_bytes=300)
    for _ in range(9):
        journal.append(b"x" * 60)
    before = None
    for path in segments(tmp_path / "journal"):
        header, _ = SegmentHeader.decode(path.read_bytes())
        assert header is not None
        if before is not None:
            end = len(segments(tmp_path / "journal")[header.number - 2].read_bytes().rstrip(b"\0"))
            assert (header.previous_number, header.previous_salt) == (before.number, before.salt)
            assert header.previous_end == end
        before = header
    assert before is not None
    assert before.number > 2


uint64 = st.integers(0, 2**64 - 1)
states = st.builds(
    State,
    uint64,
    st.binary(min_size=16, max_size=16),
    uint64,
    uint64,
    uint64,
    uint64,
    uint64,
    st.booleans(),
)
cursors = st.builds(Cursor, uint64, uint64, uint64, uint64, uint64, uint64)


@given(st.one_of(states, cursors), st.data())
def test_state_and_cursor_come_back_or_not_at_all(
    value: State | Cursor, data: st.DataObject
) -> None:
    encoded = value.encode()
    assert type(value).decode(encoded) == value
    at = data.draw(st.integers(0, len(encoded) - 1))
    mask = data.draw(st.integers(1, 255))
    broken = encoded[:at] + bytes([encoded[at] ^ mask]) + encoded[at + 1 :]
    assert type(value).decode(broken) is None
    assert type(value).decode(encoded[:at]) is None


@given(st.binary(max_size=100), st.data())
def test_no_flipped_bit_in_a_frame_goes_unseen(payload: bytes, data: st.DataObject) -> None:
    frame = encode_frames(SALT, 1, 2, [payload])
    assert decode_frame(frame, 0, SALT) == Frame(0, len(frame), 1, 2, payload)
    at = data.draw(st.integers(0, len(frame) - 1))
    bit = data.draw(st.integers(0, 7))
    broken = frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :]
    assert decode_frame(broken, 0, SALT) is None
    assert decode_frame(frame, 0, SALT[::-1]) is None


def segment(*payloads: bytes) -> bytes:
    return HEADER.encode() + encode_frames(SALT, 42, 0, payloads)


UNKNOWN = Extent()


def faults(data: bytes, extent: Extent = UNKNOWN) -> list[Fault]:
    return [item.kind for item in scan_segment(data, extent) if isinstance(item, Bad)]


def test_every_cut_of_an_unacknowledged_tail_is_torn() -> None:
    whole = segment(b"first", b"second")
    middle = len(segment(b"first"))
    for cut in range(len(whole)):
        for zeros in (0, 1, 300):
            expected = [] if cut in (192, middle) else [Fault.TORN]
            if cut == 0:
                expected = [Fault.TORN]
            assert faults(whole[:cut] + bytes(zeros)) == expected, cut


def test_every_cut_of_acknowledged_records_is_damage() -> None:
    whole = segment(b"first", b"second")
    for cut in range(len(whole)):
        for sealed in (False, True):
            found = faults(whole[:cut], Extent(len(whole), len(whole), sealed=sealed))
            assert set(found) == {Fault.DAMAGED}, cut


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_flipped_bit_before_other_records_is_damage(acknowledged: bool) -> None:
    whole = segment(b"first", b"second")
    extent = Extent(len(whole)) if acknowledged else Extent()
    for at in range(len(segment(b"first"))):
        data = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        assert faults(data, extent) == [Fault.DAMAGED], at


def test_a_flipped_bit_in_the_last_record_is_damage() -> None:
    whole = segment(b"first", b"second")
    for at in range(len(segment(b"first")), len(whole)):
        data = whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]
        assert faults(data) == [Fault.DAMAGED], at


def test_sectors_that_never_reached_the_disk_are_torn() -> None:
    start = segment(b"first")
    tail = encode_frames(SALT, 43, 0, [b"x" * 3000])
    for first, last in ((1, 1), (2, 4), (1, 3)):
        data = bytearray(start + tail)
        data[512 * first : 512 * (last + 1)] = bytes(512 * (last + 1 - first))
        assert faults(bytes(data)) == [Fault.TORN]
    lost_front = bytearray(start + tail)
    lost_front[len(start) : 512] = bytes(512 - len(start))
    assert faults(bytes(lost_front)) == [Fault.TORN]


def test_what_lies_behind_a_sealed_end() -> None:
    whole, more = segment(b"first"), encode_frames(SALT, 43, 0, [b"refused"])
    sealed = Extent(len(whole), len(whole), sealed=True)
    assert faults(whole + bytes(1000), sealed) == []
    for cut in range(1, len(more) + 1):
        assert faults(whole + more[:cut] + bytes(9), sealed) == [Fault.TORN]
    assert faults(whole + b"garbage", sealed) == [Fault.DAMAGED]
    assert [item for item in scan_segment(whole + more, sealed) if isinstance(item, Frame)] == [
        decode_frame(whole, 192, SALT)
    ]


@given(
    st.binary(max_size=600), st.builds(Extent, *[st.integers(0, 1000)] * 2, sealed=st.booleans())
)
def test_any_bytes_can_be_scanned(data: bytes, extent: Extent) -> None:
    list(scan_segment(data, extent))
    list(scan_segment(segment(b"first") + data, extent))


def test_a_payload_full_of_markers_takes_no_time_to_search() -> None:
    hostile = b"\xa7TJ\x1e\x00\x0f\xff\xff" * 100_000
    data = bytearray(segment(hostile, b"last"))
    data[200] ^= 1
    items = list(scan_segment(bytes(data), Extent(len(data))))
    assert [item.payload for item in items if isinstance(item, Frame)] == [b"last"]
