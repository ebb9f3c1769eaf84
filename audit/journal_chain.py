"""How the segments hang together: each names the one before it and where that one ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.journal_directory import JournalDirectory
from audit.journal_format import HEADER_BYTES, NO_SALT, STATE_BYTES, SegmentHeader, State
from audit.journal_scan import Extent

_STATE_READ_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Link:
    """One segment and what others say of it.

    ``salt`` and ``last_sequence`` are None where nobody says.
    """

    number: int
    path: Path
    header: SegmentHeader | None
    extent: Extent
    salt: bytes | None
    last_sequence: int | None

    @property
    def foreign(self) -> bool:
        """True when another file stands in the place of the one that was acknowledged."""
        header = self.header
        if header is None:
            return False
        return header.number != self.number or (self.salt or header.salt) != header.salt


def read_state(directory: JournalDirectory) -> State | None:
    """The state, read without the lock; None when there is none that is whole."""
    for _ in range(_STATE_READ_ATTEMPTS):  # a writer may be just at it
        try:
            data = directory.read(directory.lock_path)
        except FileNotFoundError:
            return None
        if (state := State.decode(data[:STATE_BYTES])) is not None:
            return state
    return None


def links(directory: JournalDirectory, state: State | None) -> list[Link]:
    """All segments in order, those set aside included."""
    paths = {number: directory.damaged_path(number) for number in directory.damaged_numbers()}
    paths |= {number: directory.segment_path(number) for number in directory.numbers()}
    headers = {number: _read_header(directory, path) for number, path in paths.items()}
    followers = {header.previous_number: header for header in headers.values() if header}
    return [_link(number, paths[number], headers, followers, state) for number in sorted(paths)]


def _read_header(directory: JournalDirectory, path: Path) -> SegmentHeader | None:
    try:
        return SegmentHeader.decode(directory.read(path, count=HEADER_BYTES))[0]
    except FileNotFoundError:
        return None


def _link(
    number: int,
    path: Path,
    headers: Mapping[int, SegmentHeader | None],
    followers: Mapping[int, SegmentHeader],
    state: State | None,
) -> Link:
    header = headers[number]
    follower = followers.get(number)
    if follower is not None:
        extent = Extent(follower.previous_settled, follower.previous_end, sealed=True)
        salt = follower.previous_salt
        last: int | None = follower.first_sequence - 1
    elif state is not None and state.number == number:
        extent = Extent(state.settled, state.end, sealed=state.closed)
        salt, last = state.salt, state.sequence
    else:
        return Link(number, path, header, Extent(), None, None)
    return Link(number, path, header, extent, None if salt == NO_SALT else salt, last)
