"""What the journal tells about itself: how much waits, and what is in it byte by byte."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from audit.journal_chain import Link, links, read_state
from audit.journal_directory import JournalDirectory
from audit.journal_format import HEADER_BYTES, Cursor, Frame, State, decode_frame_head
from audit.journal_scan import Bad, Extent, Fault, scan_frames, scan_segment

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits in the journal to be replayed.

    ``records`` and ``bytes`` wait; the ``oldest`` was written at that time, the last delivery
    was at ``last_replay`` (both seconds since 1970, or None); ``replayed`` records were delivered
    ever; ``damaged_segments`` stand aside for somebody to look at; ``has_reserve`` is False while
    the room set aside for a full disk is missing or in use.
    """

    records: int = 0
    bytes: int = 0
    oldest: float | None = None
    last_replay: float | None = None
    replayed: int = 0
    damaged_segments: int = 0
    has_reserve: bool = False


class FindingKind(Enum):
    """A good record, the harmless rest of a write cut short, or damage somebody must look at."""

    RECORD = "record"
    TORN = "torn"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One stretch of one file of the journal.

    ``sequence``, ``written_at`` (seconds since 1970) and ``payload`` are those of a RECORD;
    ``delivered`` tells whether replay has passed it.
    """

    kind: FindingKind
    file: str
    offset: int
    length: int
    message: str = ""
    sequence: int | None = None
    written_at: float | None = None
    payload: bytes | None = None
    delivered: bool = False

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.file} at {self.offset}: {self.message or self.sequence}"


def bad_finding(file: str, bad: Bad) -> Finding:
    """What a scan found wrong."""
    kind = FindingKind.TORN if bad.kind is Fault.TORN else FindingKind.DAMAGED
    return Finding(kind, file, bad.offset, bad.end - bad.offset, bad.message)


def foreign_finding(file: str, length: int) -> Finding:
    """A file that is not the one this journal wrote; nothing in it is believed."""
    message = "another file stands in the place of the one that was acknowledged"
    return Finding(FindingKind.DAMAGED, file, 0, length, message)


def lost_finding(file: str, offset: int, first: int, last: int) -> Finding:
    """Records whose sequences were given out, which are neither here nor delivered."""
    message = f"records {first} to {last} are missing"
    return Finding(FindingKind.DAMAGED, file, offset, 0, message)


def depth(directory: JournalDirectory) -> Depth:
    """Count without taking a lock; what is being written just now may or may not count."""
    if not directory.exists():
        return Depth()
    cursor = directory.read_cursor()
    state = read_state(directory)
    waiting = [link for link in links(directory, state) if _waits(directory, link, cursor)]
    given_out = [link.header.first_sequence - 1 for link in waiting if link.header]
    given_out += [state.sequence] if state else []
    last = max([0, *given_out, *_unsettled(directory, waiting, state)])
    records = max(0, last - cursor.sequence)
    reserve = directory.find(directory.reserve_path)
    return Depth(
        records=records,
        bytes=sum(_waiting_bytes(directory, link, cursor) for link in waiting) if records else 0,
        oldest=_oldest(directory, waiting[0], cursor) if records and waiting else None,
        last_replay=cursor.at_us / _US_PER_S if cursor.total else None,
        replayed=cursor.total,
        damaged_segments=len(directory.damaged_numbers()),
        has_reserve=reserve is not None and reserve.st_size > 0,
    )


def _waits(directory: JournalDirectory, link: Link, cursor: Cursor) -> bool:
    return link.number >= cursor.segment and link.path == directory.segment_path(link.number)


def _unsettled(
    directory: JournalDirectory, waiting: list[Link], state: State | None
) -> Iterator[int]:
    """Sequences that a writer left behind without having been able to note it."""
    newest = waiting[-1] if waiting else None
    if newest is None or newest.header is None or newest.extent.sealed:
        return
    known = state is not None and state.number == newest.number
    start = state.end if state is not None and known else HEADER_BYTES
    try:
        tail = directory.read(newest.path, start)
    except FileNotFoundError:
        return
    if tail.strip(b"\0"):
        for item in scan_frames(tail, newest.header.salt, 0, Extent()):
            if isinstance(item, Frame):
                yield item.sequence


def _waiting_bytes(directory: JournalDirectory, link: Link, cursor: Cursor) -> int:
    end = link.extent.end
    if not end:
        found = directory.find(link.path)
        end = found.st_size if found else 0
    start = max(HEADER_BYTES, cursor.offset if link.number == cursor.segment else 0)
    return max(0, end - start)


def _oldest(directory: JournalDirectory, link: Link, cursor: Cursor) -> float | None:
    if link.header is None:
        return None
    start = max(HEADER_BYTES, cursor.offset if link.number == cursor.segment else 0)
    try:
        head = decode_frame_head(directory.read(link.path, start, 64), 0, link.header.salt)
    except FileNotFoundError:
        return None
    return (head[2] if head else link.header.created_us) / _US_PER_S


class Inspector:
    """Looks at every byte of a journal and changes none.

    Made with the writers' lock held: it takes the newest segment as it is then, so that no write
    under way is mistaken for a torn one. The others do not change any more.
    """

    def __init__(self, directory: JournalDirectory) -> None:
        self._directory = directory
        self._state = read_state(directory)
        self._links = links(directory, self._state)
        self._cursor = directory.read_cursor()  # last: what goes meanwhile has been delivered
        self._newest = self._read(self._links[-1]) if self._links else None
        self._expected = 0

    def findings(self) -> Iterator[Finding]:
        """Every record and everything that is wrong, in order."""
        for link in self._links:
            newest = link is self._links[-1]
            data = self._newest if newest else self._read(link)
            if data is None:
                self._cursor = self._directory.read_cursor()
            else:
                yield from self._segment(link, data)
        last = self._state.sequence if self._state else 0
        if max(self._cursor.sequence, self._expected - 1) < last:
            first = max(self._cursor.sequence + 1, self._expected)
            yield lost_finding(self._directory.path.name, 0, first, last)

    def _read(self, link: Link) -> bytes | None:
        """None when replay was done with it before we came to it."""
        for path in (link.path, self._directory.damaged_path(link.number)):
            try:
                return self._directory.read(path)
            except FileNotFoundError:
                continue
        return None

    def _segment(self, link: Link, data: bytes) -> Iterator[Finding]:
        file = link.path.name
        if link.foreign:
            yield foreign_finding(file, len(data))
            return
        torn = False
        for item in scan_segment(data, link.extent):
            if isinstance(item, Bad):
                torn = item.kind is Fault.TORN
                yield bad_finding(file, item)
                continue
            first = max(self._cursor.sequence + 1, self._expected)
            if item.sequence > first and not torn:
                yield lost_finding(file, item.offset, first, item.sequence - 1)
            self._expected, torn = max(self._expected, item.sequence + 1), False
            yield self._record(file, link, item)

    def _record(self, file: str, link: Link, frame: Frame) -> Finding:
        cursor = self._cursor
        delivered = (link.number, frame.offset) < (cursor.segment, cursor.offset)
        return Finding(
            FindingKind.RECORD,
            file,
            frame.offset,
            frame.end - frame.offset,
            sequence=frame.sequence,
            written_at=frame.written_us / _US_PER_S,
            payload=frame.payload,
            delivered=delivered,
        )
