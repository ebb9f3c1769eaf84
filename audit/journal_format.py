"""The bytes of the journal. What stands here is enough to read one without this program.

All numbers are big-endian and unsigned; times are microseconds since 1970-01-01 UTC. A journal
is a directory (mode 0700) of files (mode 0600):

========================  ======================================================================
``<number>.journal``      a segment; the number has 20 digits, starts at 1 and only grows
``<number>.journal.damaged``  a segment set aside because something in it was damaged
``lock``                  the writers' lock (``flock``), holding the state of the newest segment
``replay``                the replayer's lock (``flock``), holding how far delivery has come
``reserve``               zeros, allocated ahead: becomes a segment when the disk is full
========================  ======================================================================

**Segment**: the header twice (96 bytes each, so that one flipped bit cannot orphan what
follows), then frames one after the other, then zeros up to the end of the file. The header:

======  =====  ============================================================
offset  bytes  field
======  =====  ============================================================
0       8      ``TECHNOJ1``
8       2      version, 1
10      2      zero
12      8      number of this segment
20      8      sequence of the first record
28      8      time of creation
36      16     salt: random, different in every segment
52      8      number of the segment before, 0 if there was none
60      8      where the frames of that segment end that count
68      16     salt of that segment, zeros if it could not be read
84      8      where those of them end that are known to have been acknowledged
92      4      CRC-32 of the 92 bytes before
======  =====  ============================================================

**Frame**, one for each record:

======  =====  ============================================================
0       4      marker ``A7 54 4A 1E``
4       4      length of the payload, at most 1 MiB
8       8      sequence: 1 for the first record ever, then without gaps
16      8      time of writing
24      4      CRC-32 of salt and the 24 bytes before
28      16     the first 16 bytes of SHA-256 of salt, bytes 0 to 23, payload
44      —      payload
======  =====  ============================================================

The salt keeps a payload that happens to look like a frame, or was made to look like one, from
being taken for one when a reader searches for the next good frame behind damage.

What a segment holds past the end that its successor names was never acknowledged; it is ignored.
The two ends differ after a crash: what was found whole behind the last record known then counts,
whether or not somebody had been told of it.

**State** (offset 0 of ``lock``) names both ends for the newest segment: ``TECHNOS1``, number, salt
(16), end of the frames that count, end of those known to be acknowledged, size of the file, last
sequence, size it may grow to, flags (4 bytes: 1 closed), CRC-32. It is a lower bound, since it is
not fsynced with every record.

**Cursor** (offsets 0 and 4096 of ``replay``, the higher generation that is whole counts):
``TECHNOC1``, generation, segment, offset in it, last sequence delivered, time, records delivered
ever, CRC-32. All fields of both are 8 bytes where no length is given; a CRC-32
covers the bytes before it.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

VERSION = 1
SALT_BYTES = 16
NO_SALT = bytes(SALT_BYTES)
MAX_RECORD_BYTES = 1024 * 1024
MARKER = b"\xa7TJ\x1e"

SEGMENT_MAGIC = b"TECHNOJ1"
_STATE_MAGIC = b"TECHNOS1"
_CURSOR_MAGIC = b"TECHNOC1"
_SEGMENT = struct.Struct(">8sHxxQQQ16sQQ16sQ")
_FRAME_START = struct.Struct(">4sIQQ")
_FRAME = struct.Struct(">4sIQQI16s")
_STATE = struct.Struct(">8sQ16sQQQQQI")
_CURSOR = struct.Struct(">8sQQQQQQ")
_CRC = struct.Struct(">I")
_DIGEST_BYTES = 16
_CLOSED = 1

_HEADER_COPY_BYTES = _SEGMENT.size + _CRC.size
HEADER_BYTES = 2 * _HEADER_COPY_BYTES
FRAME_BYTES = _FRAME.size
STATE_BYTES = _STATE.size + _CRC.size
CURSOR_BYTES = _CURSOR.size + _CRC.size
CURSOR_SLOT_OFFSETS = (0, 4096)


def _sealed(body: bytes) -> bytes:
    return body + _CRC.pack(zlib.crc32(body))


def _unsealed(data: bytes) -> bytes | None:
    body = data[: -_CRC.size]
    return body if data == _sealed(body) else None


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself and of the one before it."""

    number: int
    first_sequence: int
    created_us: int
    salt: bytes
    previous_number: int
    previous_end: int
    previous_salt: bytes
    previous_settled: int

    def encode(self) -> bytes:
        """Both copies."""
        return 2 * _sealed(
            _SEGMENT.pack(
                SEGMENT_MAGIC,
                VERSION,
                self.number,
                self.first_sequence,
                self.created_us,
                self.salt,
                self.previous_number,
                self.previous_end,
                self.previous_salt,
                self.previous_settled,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> tuple[Self | None, int]:
        """The header at the start of ``data``, None if neither copy can be read; how many can."""
        copies = [data[:_HEADER_COPY_BYTES], data[_HEADER_COPY_BYTES:HEADER_BYTES]]
        headers = [header for copy in copies if (header := cls._decode_copy(copy))]
        return (headers[0] if headers else None), len(headers)

    @classmethod
    def _decode_copy(cls, data: bytes) -> Self | None:
        body = _unsealed(data) if len(data) == _HEADER_COPY_BYTES else None
        if body is None:
            return None
        magic, version, *fields = _SEGMENT.unpack(body)
        return cls(*fields) if (magic, version) == (SEGMENT_MAGIC, VERSION) else None


class Frame(NamedTuple):
    """One record, and where in its segment it stands."""

    offset: int
    end: int
    sequence: int
    written_us: int
    payload: bytes


def frame_bytes(payload: bytes) -> int:
    """The bytes that ``payload`` takes in a segment."""
    return FRAME_BYTES + len(payload)


def encode_frames(
    salt: bytes, first_sequence: int, written_us: int, payloads: Iterable[bytes]
) -> bytes:
    """Frames of consecutive records, written at one time."""
    salt_crc = zlib.crc32(salt)
    parts: list[bytes] = []
    for sequence, payload in enumerate(payloads, first_sequence):
        start = _FRAME_START.pack(MARKER, len(payload), sequence, written_us)
        digest = sha256(salt + start + payload).digest()[:_DIGEST_BYTES]
        parts += (start, _CRC.pack(zlib.crc32(start, salt_crc)), digest, payload)
    return b"".join(parts)


def decode_frame_head(data: bytes, offset: int, salt: bytes) -> tuple[int, int, int, bytes] | None:
    """Length, sequence, time of writing and digest at ``offset``; None unless their CRC holds."""
    if offset + FRAME_BYTES > len(data):
        return None
    marker, length, sequence, written_us, crc, digest = _FRAME.unpack_from(data, offset)
    start = data[offset : offset + _FRAME_START.size]
    if marker != MARKER or length > MAX_RECORD_BYTES or crc != zlib.crc32(salt + start):
        return None
    return length, sequence, written_us, digest


def decode_frame(data: bytes, offset: int, salt: bytes) -> Frame | None:
    """The frame at ``offset``; None unless it is whole and its checksums hold."""
    head = decode_frame_head(data, offset, salt)
    if head is None:
        return None
    length, sequence, written_us, digest = head
    payload_offset = offset + FRAME_BYTES
    payload = data[payload_offset : payload_offset + length]
    start = data[offset : offset + _FRAME_START.size]
    if len(payload) < length or sha256(salt + start + payload).digest()[:_DIGEST_BYTES] != digest:
        return None
    return Frame(offset, payload_offset + length, sequence, written_us, payload)


class State(NamedTuple):
    """The newest segment as the last writer left it: at least this much of it is durable."""

    number: int
    salt: bytes
    end: int
    settled: int
    size: int
    sequence: int
    limit: int
    closed: bool = False

    def encode(self) -> bytes:
        flags = _CLOSED * self.closed
        return _sealed(
            _STATE.pack(
                _STATE_MAGIC,
                self.number,
                self.salt,
                self.end,
                self.settled,
                self.size,
                self.sequence,
                self.limit,
                flags,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        body = _unsealed(data) if len(data) == STATE_BYTES else None
        if body is None:
            return None
        magic, *fields = _STATE.unpack(body)
        if magic != _STATE_MAGIC:
            return None
        state = cls(*fields)
        return state._replace(closed=bool(fields[-1] & _CLOSED))


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far delivery has come: all before ``offset`` of ``segment`` has been delivered."""

    generation: int = 0
    segment: int = 0
    offset: int = 0
    sequence: int = 0
    at_us: int = 0
    total: int = 0

    def encode(self) -> bytes:
        return _sealed(
            _CURSOR.pack(
                _CURSOR_MAGIC,
                self.generation,
                self.segment,
                self.offset,
                self.sequence,
                self.at_us,
                self.total,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        body = _unsealed(data) if len(data) == CURSOR_BYTES else None
        if body is None:
            return None
        magic, *fields = _CURSOR.unpack(body)
        return cls(*fields) if magic == _CURSOR_MAGIC else None
