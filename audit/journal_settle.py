"""What the newest segment really holds, when the state alone cannot say.

A writer that was killed leaves bytes behind its last acknowledged record; a power cut leaves a
state older than the segment; somebody may have removed, replaced or cut the file. Settling looks
at the files and gives a state that the next write can build on.
"""

import logging
import os

from audit.journal_directory import JournalDirectory
from audit.journal_format import HEADER_BYTES, NO_SALT, Frame, SegmentHeader, State
from audit.journal_scan import Bad, Extent, Fault, scan_frames, scan_segment

logger = logging.getLogger(__name__)


class SegmentLost(Exception):
    """The newest segment is not what it was when records in it were acknowledged.

    ``state`` is the one to go on from, in a new segment.
    """

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state


def first_state(directory: JournalDirectory) -> State:
    """The state of a journal of which nothing is known but how far delivery has come."""
    cursor = directory.read_cursor()
    number = max(cursor.segment - 1, 0)
    return State(number, NO_SALT, 0, 0, 0, cursor.sequence, 0, closed=True)


def settle(directory: JournalDirectory, state: State, *, trusted: bool) -> State:
    """Hold ``state`` against the files; call with the writers' lock held.

    ``trusted``: it was read from the lock file just now. Gives it back, still open, when nothing
    has happened since it was written; otherwise a closed state that takes in every whole record
    that was found. A segment with a torn tail is never written to again. Raises
    :class:`SegmentLost`.
    """
    for number in reversed([each for each in directory.numbers() if each > state.number]):
        adopted = _adopt(
            directory,
            state._replace(number=number, end=HEADER_BYTES, settled=HEADER_BYTES),
            whole=True,
        )
        if adopted is not None:
            return adopted
    if state.closed:
        return state
    if directory.find(directory.segment_path(state.number)) is None and state.end <= HEADER_BYTES:
        return state._replace(closed=True)
    data = _read_newest(directory, state)
    untouched = len(data) == state.size and not data[state.end :].strip(b"\0")
    if trusted and untouched:
        return state
    return _adopt(directory, state, whole=False) or state._replace(closed=True)


def _read_newest(directory: JournalDirectory, state: State) -> bytes:
    path = directory.segment_path(state.number)
    closed = state._replace(closed=True)
    try:
        data = directory.read(path)
    except FileNotFoundError:
        raise SegmentLost(f"{path} was removed", closed) from None
    if len(data) < state.end:
        raise SegmentLost(f"{path} was cut from {state.end} to {len(data)} bytes", closed)
    header, _ = SegmentHeader.decode(data)
    if header is None or (header.number, header.salt) != (state.number, state.salt):
        raise SegmentLost(f"{path} was replaced or its header is damaged", closed)
    return data


def _adopt(directory: JournalDirectory, state: State, *, whole: bool) -> State | None:
    """Take in what stands in a segment behind ``state.end``; None, and no file, if nothing does.

    ``whole``: nothing is known of the segment, so read it from its header on.
    """
    path = directory.segment_path(state.number)
    data = directory.read(path)
    header, _ = SegmentHeader.decode(data)
    salt = header.salt if header else NO_SALT
    if whole:
        items = list(scan_segment(data, Extent()))
    else:
        items = list(scan_frames(data, salt, state.end, Extent()))
    for torn in (item for item in items if isinstance(item, Bad) and item.kind is Fault.TORN):
        logger.warning("journal: torn tail in %s at %d: %s", path, torn.offset, torn.message)
    kept = [item for item in items if isinstance(item, Frame) or item.kind is Fault.DAMAGED]
    if whole and not kept:
        directory.disk.unlink(path)
        return None
    _sync_file(directory, state.number)
    end = max([state.end, *(item.end for item in kept)])
    sequences = [item.sequence for item in kept if isinstance(item, Frame)]
    before = header.first_sequence - 1 if header else 0
    sequence = max([state.sequence, before, *sequences])
    return State(state.number, salt, end, state.settled, len(data), sequence, end, closed=True)


def _sync_file(directory: JournalDirectory, number: int) -> None:
    """What is about to be counted as journalled may only be in memory so far."""
    fd = directory.disk.open(directory.segment_path(number), os.O_RDWR)
    try:
        directory.disk.sync(fd)
    finally:
        directory.disk.close(fd)
    directory.sync()
