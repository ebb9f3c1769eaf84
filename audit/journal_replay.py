"""Delivery of what was journalled, in order, and the removal of what was delivered.

The cursor moves only after a batch was delivered, and a segment goes only after the cursor has
left it: whoever is killed anywhere in between delivers again, never too little.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from audit.journal_chain import Link, links
from audit.journal_directory import JournalDirectory
from audit.journal_disk import JournalUnavailable
from audit.journal_format import Cursor, Frame, State
from audit.journal_lock import FileLock, LockBusy
from audit.journal_report import Finding, FindingKind, bad_finding, foreign_finding, lost_finding
from audit.journal_scan import Bad, Fault, scan_segment
from audit.journal_writer import Writer

Deliver = Callable[[Sequence[bytes]], None]

_FINDINGS_LIMIT = 100
logger = logging.getLogger(__name__)


class ReplayBusy(Exception):
    """Somebody else is replaying this journal."""


@dataclass(slots=True)
class Replayed:
    """What one replay did.

    ``torn`` and ``damaged`` count findings, ``findings`` holds the first hundred of them;
    ``set_aside`` names the files that stay because something in them was damaged.
    """

    records: int = 0
    segments: int = 0
    torn: int = 0
    damaged: int = 0
    findings: list[Finding] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)

    def note(self, finding: Finding) -> None:
        torn = finding.kind is FindingKind.TORN
        self.torn += torn
        self.damaged += not torn
        level = logging.WARNING if torn else logging.CRITICAL
        logger.log(level, "journal: %s", finding)
        if len(self.findings) < _FINDINGS_LIMIT:
            self.findings.append(finding)


class Replayer:
    """One replay; make a new one for each."""

    def __init__(
        self, directory: JournalDirectory, writer: Writer, deliver: Deliver, batch: int
    ) -> None:
        self._directory = directory
        self._writer = writer
        self._deliver = deliver
        self._batch = batch
        self._lock = FileLock(directory, directory.replay_path)
        self._cursor = Cursor()
        self._expected = 1
        self._done = Replayed()
        self.refused_by_deliverer: BaseException | None = None

    def run(self, deadline: float) -> Replayed:
        """Deliver everything appended before now."""
        try:
            self._lock.acquire(time.monotonic())
        except LockBusy:
            raise ReplayBusy(f"{self._directory.path} is being replayed already") from None
        try:
            self._cursor = self._directory.read_cursor()
            self._expected = self._cursor.sequence + 1
            with self._writer.locked(deadline):
                state = self._writer.seal()
                chain = links(self._directory, state)
            self._replay(chain, state)
            with self._writer.locked(deadline):
                self._writer.furnish()
        finally:
            self._lock.close()
            self._writer.close()
        return self._done

    def _replay(self, chain: list[Link], state: State) -> None:
        for link in chain:
            is_set_aside = link.path == self._directory.damaged_path(link.number)
            is_open = link.number > state.number or (
                link.number == state.number and not state.closed
            )
            if not (is_set_aside or is_open):
                self._segment(link)
        last = state.number if state.closed else state.number - 1
        if self._cursor.segment <= last or self._cursor.sequence < state.sequence:
            self._leave(max(last, self._cursor.segment - 1), state.sequence)

    def _segment(self, link: Link) -> None:
        data = self._directory.read(link.path)
        if damaged := link.foreign:
            self._done.note(foreign_finding(link.path.name, len(data)))
        else:
            damaged = self._frames(link, data)
        if link.number >= self._cursor.segment:
            self._leave(link.number, link.last_sequence)
        self._retire(link, damaged=damaged)

    def _frames(self, link: Link, data: bytes) -> bool:
        """Deliver the frames behind the cursor; true when any of the segment is damaged.

        All of it is looked at again, or damage passed before an interruption would go unseen.
        """
        waiting: list[Frame] = []
        damaged = torn = False
        for item in scan_segment(data, link.extent):
            if isinstance(item, Bad):
                self._done.note(bad_finding(link.path.name, item))
                torn = item.kind is Fault.TORN
                damaged |= not torn
                continue
            if (link.number, item.offset) >= (self._cursor.segment, self._cursor.offset):
                self._count(link, item, torn=torn)
                waiting.append(item)
            torn = False
            if len(waiting) == self._batch:
                self._hand_over(link, waiting)
                waiting = []
        if waiting:
            self._hand_over(link, waiting)
        return damaged

    def _count(self, link: Link, frame: Frame, *, torn: bool) -> None:
        """Report records missing in front of one, unless they were never acknowledged."""
        if frame.sequence > self._expected and not torn:
            last = frame.sequence - 1
            self._done.note(lost_finding(link.path.name, frame.offset, self._expected, last))
        self._expected = max(self._expected, frame.sequence + 1)

    def _hand_over(self, link: Link, frames: Sequence[Frame]) -> None:
        try:
            self._deliver([frame.payload for frame in frames])
        except BaseException as error:
            self.refused_by_deliverer = error
            raise
        self._done.records += len(frames)
        self._move(
            replace(
                self._cursor,
                segment=link.number,
                offset=frames[-1].end,
                sequence=max(self._cursor.sequence, frames[-1].sequence),
                total=self._cursor.total + len(frames),
            )
        )

    def _leave(self, number: int, last_sequence: int | None) -> None:
        """Put the cursor behind a segment; what it should have held and did not is lost."""
        sequence = max(self._cursor.sequence, last_sequence or 0)
        if sequence > self._cursor.sequence:
            name = self._directory.segment_path(number).name
            self._done.note(lost_finding(name, 0, self._cursor.sequence + 1, sequence))
        self._move(replace(self._cursor, segment=number + 1, offset=0, sequence=sequence))
        self._expected = sequence + 1

    def _move(self, cursor: Cursor) -> None:
        if not self._lock.in_place():
            raise JournalUnavailable(
                f"{self._lock.path} was removed or replaced during replay",
                "find out by whom; the next replay delivers again what this one could not note",
            )
        self._cursor = replace(
            cursor, generation=self._cursor.generation + 1, at_us=time.time_ns() // 1000
        )
        self._directory.write_cursor(self._lock.fd, self._cursor)

    def _retire(self, link: Link, *, damaged: bool) -> None:
        if damaged:
            target = self._directory.damaged_path(link.number)
            self._directory.disk.rename(link.path, target)
            self._done.set_aside.append(target.name)
        else:
            self._directory.disk.unlink(link.path)
        self._directory.sync()
        self._done.segments += 1
