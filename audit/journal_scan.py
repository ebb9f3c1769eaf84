"""Reading a segment: its records, and what kind of wrong is wrong with it.

Two things go wrong with a journal and must not be mistaken for each other. A write cut short by
a crash leaves an incomplete tail that nobody was ever told was safe: *torn*, and normal. Bytes
that had been acknowledged and no longer hold are *damaged*, and somebody must look.

How far records are known to have been acknowledged stands in the next segment or in the state, so
up to there everything unreadable is damage. Beyond it a torn write is told by its shape: an
incomplete frame, or sectors that were never written, be it in front of others that were.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from audit.journal_format import (
    FRAME_BYTES,
    HEADER_BYTES,
    MARKER,
    SEGMENT_MAGIC,
    Frame,
    SegmentHeader,
    decode_frame,
    decode_frame_head,
)

_SECTOR_BYTES = 512
_ZERO_SECTOR = bytes(_SECTOR_BYTES)


class Fault(Enum):
    """The two kinds of wrong."""

    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Bad:
    """A stretch of a segment that holds no readable record."""

    kind: Fault
    offset: int
    end: int
    message: str


@dataclass(frozen=True, slots=True)
class Extent:
    """What others know of a segment.

    ``settled``: its records are known to have been acknowledged up to here. ``end``: those that
    count reach at least to here. ``sealed``: and no further, so that what follows was refused or
    written again elsewhere.
    """

    settled: int = 0
    end: int = 0
    sealed: bool = False


def scan_segment(data: bytes, extent: Extent) -> Iterator[Frame | Bad]:
    """All that the bytes of a segment hold, in order."""
    header, copies = SegmentHeader.decode(data)
    if copies < 2:
        yield _bad_header(data, copies, extent)
    if header is not None:
        yield from scan_frames(data, header.salt, HEADER_BYTES, extent)


def scan_frames(data: bytes, salt: bytes, start: int, extent: Extent) -> Iterator[Frame | Bad]:
    """The frames of a segment from ``start`` on, and what stands between and behind them."""
    settled = max(extent.settled, start)
    yield from _acknowledged(data, salt, start, settled)
    if not extent.sealed:
        yield from _open_end(data, salt, settled)
        return
    end = max(extent.end, settled)
    if settled < end:
        yield from _open_end(data[:end], salt, settled)
    if settled <= len(data) < end:
        yield Bad(Fault.DAMAGED, len(data), end, _cut(data, end))
    yield from _debris(data, end)


def _acknowledged(data: bytes, salt: bytes, start: int, stop: int) -> Iterator[Frame | Bad]:
    position = start
    while position < stop:
        frame = decode_frame(data, position, salt)
        if frame is not None and frame.end <= stop:
            yield frame
            position = frame.end
            continue
        found = _next_frame(data, salt, position + 1, stop)
        end = stop if found is None else found
        cut = found is None and len(data) < stop
        yield Bad(Fault.DAMAGED, position, end, _cut(data, stop) if cut else "checksum is wrong")
        position = end


def _cut(data: bytes, stop: int) -> str:
    return f"cut off: the file ends at {len(data)}, its records reached {stop}"


def _open_end(data: bytes, salt: bytes, start: int) -> Iterator[Frame | Bad]:
    written = len(data.rstrip(b"\0"))
    position = start
    while position < len(data):
        frame = decode_frame(data, position, salt)
        if frame is not None:
            yield frame
            position = frame.end
            continue
        found = _next_frame(data, salt, position + 1, len(data))
        if found is None:
            if position < written:
                yield _tail(data, salt, position, written)
            return
        if _has_holes(data, position, found):
            yield Bad(Fault.TORN, position, found, "part of a write never reached the disk")
        else:
            yield Bad(Fault.DAMAGED, position, found, "checksum is wrong")
        position = found


def _tail(data: bytes, salt: bytes, position: int, written: int) -> Bad:
    """Judge what stands behind the last readable frame; ``written`` is where the zeros begin."""
    if _incomplete(data, salt, position, written) or _has_holes(data, position, written):
        return Bad(Fault.TORN, position, written, "a write was cut short; never acknowledged")
    return Bad(Fault.DAMAGED, position, written, "checksum of the last records is wrong")


def _incomplete(data: bytes, salt: bytes, position: int, written: int) -> bool:
    if written - position < FRAME_BYTES:
        return MARKER.startswith(data[position : min(position + len(MARKER), written)])
    head = decode_frame_head(data, position, salt)
    return head is not None and written < position + FRAME_BYTES + head[0]


def _has_holes(data: bytes, position: int, written: int) -> bool:
    """True when sectors in front of written ones are still zero, as after a loss of power."""
    stretch = data[position:written]
    zeros = len(stretch) - len(stretch.lstrip(b"\0"))
    if zeros:
        return (position + zeros) % _SECTOR_BYTES == 0
    sector = -(-position // _SECTOR_BYTES) * _SECTOR_BYTES
    return any(
        data[at : at + _SECTOR_BYTES] == _ZERO_SECTOR
        for at in range(sector, written - _SECTOR_BYTES, _SECTOR_BYTES)
    )


def _debris(data: bytes, start: int) -> Iterator[Bad]:
    """What follows the sealed end: the rest of a failed write, or bytes that nobody wrote."""
    written = len(data.rstrip(b"\0"))
    if written <= start:
        return
    torn = MARKER.startswith(data[start : min(start + len(MARKER), written)])
    if torn or _has_holes(data, start, written):
        yield Bad(Fault.TORN, start, written, "left by a write that failed; never acknowledged")
    else:
        yield Bad(Fault.DAMAGED, start, written, "bytes where nothing was written")


def _bad_header(data: bytes, copies: int, extent: Extent) -> Bad:
    """Judge a header that is not whole: a creation cut short, or damage."""
    written = len(data.rstrip(b"\0"))
    begun = min(written, len(SEGMENT_MAGIC))
    if (
        extent.end <= HEADER_BYTES
        and written < HEADER_BYTES
        and data[:begun] == SEGMENT_MAGIC[:begun]
    ):
        return Bad(Fault.TORN, 0, written, "its creation was cut short; it never held a record")
    if copies:
        return Bad(Fault.DAMAGED, 0, HEADER_BYTES, "one of the two header copies is damaged")
    return Bad(Fault.DAMAGED, 0, max(written, extent.end), "neither header copy can be read")


def _next_frame(data: bytes, salt: bytes, position: int, stop: int) -> int | None:
    """Where the next whole frame begins that ends at or before ``stop``."""
    while (position := data.find(MARKER, position, stop)) >= 0:
        frame = decode_frame(data, position, salt)
        if frame is not None and frame.end <= stop:
            return position
        position += 1
    return None
