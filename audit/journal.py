"""The local audit journal: where a row goes when PostgreSQL cannot take it.

A record is a string of bytes; what it means is the caller's affair. Records are appended to
segment files, fsynced before anybody is told that they are safe, and delivered in order by
:meth:`Journal.replay` once the database is back. ``audit/journal_format.py`` describes the files
so that a stranger can read them.

What is promised, on a disk that keeps what it says it keeps:

- A record whose ``append`` returned is delivered, whoever is killed when; more than once only if
  a delivery was interrupted, so the deliverer must recognise what it has (by ``trace_id``).
- A torn tail, left by a write that nobody acknowledged, is reported as torn. Anything that was
  acknowledged and no longer reads is reported as damaged, its file is set aside and kept.
- A newest segment that was removed, replaced or cut is noticed before the next record is
  acknowledged: that append is refused, and the journal goes on in a new segment (and a new
  directory if that was removed). The gap in the sequence is reported at replay.
- A symbolic link or anything else that is not a plain file in a place of the journal's is
  refused until somebody removes it.

What is not: whoever can write to the directory can forge records (the proof of the log is not
here), and a directory removed while no process has the journal open leaves no trace. When the
disk is full or the cap reached, the reserve takes records for as long as it lasts, on blocks
allocated before; on a file system that copies on write that is a hope and not a promise.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from audit.journal_directory import JournalDirectory
from audit.journal_disk import Disk, JournalUnavailable, unavailable
from audit.journal_format import HEADER_BYTES, MAX_RECORD_BYTES, frame_bytes
from audit.journal_lock import FileLock, LockBusy
from audit.journal_replay import Deliver, ReplayBusy, Replayed, Replayer
from audit.journal_report import Depth, Finding, FindingKind, Inspector, depth
from audit.journal_writer import Limits, Writer

__all__ = [
    "Depth",
    "Finding",
    "FindingKind",
    "Journal",
    "JournalUnavailable",
    "ReplayBusy",
    "Replayed",
]

_MIB = 1024 * 1024
_BATCH_RECORDS = 1024
_BATCH_BYTES = 2 * _MIB


class _Ticket:
    """One append that waits for its record to become durable."""

    __slots__ = ("deadline", "error", "leads", "payload", "settled", "wake")

    def __init__(self, payload: bytes, deadline: float) -> None:
        self.payload = payload
        self.deadline = deadline
        self.leads = False
        self.settled = False
        self.error: JournalUnavailable | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class Journal:
    """A journal in ``directory``, which is made at the first append.

    ``cap_bytes`` bounds all its files together, ``reserve_bytes`` of which are allocated ahead
    for when the disk is full; ``lock_timeout_s`` is how long an append waits for its turn unless
    it says otherwise. Threads may share one object (and should: their records are written
    together); processes each make their own, and a fork needs no care.
    """

    def __init__(
        self,
        directory: Path,
        *,
        cap_bytes: int = 256 * _MIB,
        reserve_bytes: int = 4 * _MIB,
        segment_bytes: int = 8 * _MIB,
        lock_timeout_s: float = 2.0,
        disk: Disk | None = None,
    ) -> None:
        if not 0 < segment_bytes <= 64 * _MIB:
            raise ValueError("segment_bytes must be from 1 to 64 MiB")
        if not 0 <= reserve_bytes <= 64 * _MIB or cap_bytes <= reserve_bytes + HEADER_BYTES:
            raise ValueError("reserve_bytes must be at most 64 MiB and leave room below the cap")
        self._directory = JournalDirectory(Path(directory), disk or Disk())
        self._limits = Limits(cap_bytes, reserve_bytes, segment_bytes)
        self._lock_timeout_s = lock_timeout_s
        self._start_afresh()
        _JOURNALS.add(self)

    def _start_afresh(self) -> None:
        self._writer = Writer(self._directory, self._limits)
        self._gate = threading.Lock()
        self._queue: deque[_Ticket] = deque()
        self._led = False

    def append(self, payload: bytes, *, timeout_s: float | None = None) -> None:
        """Return once ``payload`` (at most 1 MiB) is durable, else raise JournalUnavailable.

        ``timeout_s`` bounds the wait for other threads and processes. It cannot bound the disk:
        the thread that writes waits for as long as the disk hangs, while the others give up
        after their time.
        """
        if len(payload) > MAX_RECORD_BYTES:
            raise ValueError(f"a record of {len(payload)} bytes is over {MAX_RECORD_BYTES}")
        wait_s = self._lock_timeout_s if timeout_s is None else timeout_s
        ticket = _Ticket(bytes(payload), time.monotonic() + wait_s)
        try:
            with self._gate:
                self._queue.append(ticket)
                if not self._led:
                    self._led = ticket.leads = True
            if ticket.leads or self._await(ticket):
                self._lead(ticket)
        finally:
            self._leave(ticket)
        if not ticket.settled:
            raise JournalUnavailable(
                f"the journal in {self._directory.path} did not get to it within {wait_s:g} s",
                "see whether the disk hangs or another process holds the journal",
            )
        if ticket.error is not None:
            raise JournalUnavailable(ticket.error.cause, ticket.error.next_step) from ticket.error

    def _await(self, ticket: _Ticket) -> bool:
        """Wait until the record is settled or time is up; true when it falls to us to lead."""
        ticket.wake.acquire(timeout=max(0.0, ticket.deadline - time.monotonic()))
        return ticket.leads and not ticket.settled

    def _lead(self, ticket: _Ticket) -> None:
        """Write what has gathered in the queue, with one fsync, for all who wait."""
        batch = self._take_batch()
        error = JournalUnavailable("the write was interrupted", "try again")
        written = 0
        try:
            with self._writer.locked(ticket.deadline):
                for count in self._writer.write([each.payload for each in batch]):
                    written += count
        except LockBusy:
            error = self._busy()
        except JournalUnavailable as refused:
            error = refused
        except OSError as failed:
            error = unavailable(failed, f"cannot write the journal in {self._directory.path}")
        finally:
            for at, each in enumerate(batch):
                each.error = None if at < written else error
                each.settled = True  # after the error: whoever sees this looks there next
                if each is not ticket:
                    each.wake.release()

    def _take_batch(self) -> list[_Ticket]:
        batch: list[_Ticket] = []
        room = _BATCH_BYTES
        with self._gate:
            while self._queue and len(batch) < _BATCH_RECORDS:
                room -= frame_bytes(self._queue[0].payload)
                if batch and room < 0:
                    break
                batch.append(self._queue.popleft())
        return batch

    def _leave(self, ticket: _Ticket) -> None:
        """Be gone from the queue; whoever leads hands on to the first who waits."""
        with self._gate:
            if not ticket.settled and ticket in self._queue:
                self._queue.remove(ticket)
            if not ticket.leads:
                return
            ticket.leads = False
            self._led = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].wake.release()

    def pending(self) -> Depth:
        """How much waits to be replayed; cheap, takes no lock, writes nothing."""
        try:
            return depth(self._directory)
        except OSError as error:
            raise self._unreadable(error) from error

    def replay(self, deliver: Deliver, *, batch: int = 1000) -> Replayed:
        """Hand everything appended before now to ``deliver``, in order, up to ``batch`` at once.

        ``deliver`` must take a record that it has had before. When it raises, replay ends there
        and that batch comes again next time; what can never be delivered is therefore its own
        to put elsewhere. Raises :class:`ReplayBusy` while somebody else replays.
        """
        if batch < 1:
            raise ValueError("batch must be at least 1")
        writer = Writer(self._directory, self._limits)
        replayer = Replayer(self._directory, writer, deliver, batch)
        try:
            if not self._directory.exists():
                return Replayed()
            return replayer.run(time.monotonic() + self._lock_timeout_s)
        except LockBusy:
            raise self._busy() from None
        except OSError as error:
            if error is replayer.refused_by_deliverer:
                raise
            raise self._unreadable(error) from error

    def inspect(self) -> Iterator[Finding]:
        """Every record, and everything torn or damaged, in order; changes nothing."""
        lock = FileLock(self._directory, self._directory.lock_path, read_only=True)
        try:
            if lock.exists():
                lock.acquire(time.monotonic() + self._lock_timeout_s)
            inspector = Inspector(self._directory)
            lock.close()
            yield from inspector.findings()
        except LockBusy:
            raise self._busy() from None
        except OSError as error:
            raise self._unreadable(error) from error
        finally:
            lock.close()

    def close(self) -> None:
        """Let go of all files. The next append opens them again; none may be under way."""
        self._writer.close()

    def _forget_parent(self) -> None:
        """In a child made by fork, where it is called by itself: let go of the parent's files."""
        self._writer.forget()
        self._start_afresh()

    def _busy(self) -> JournalUnavailable:
        return JournalUnavailable(
            f"another process holds the journal in {self._directory.path}",
            "see which one, and whether its disk hangs",
        )

    def _unreadable(self, error: OSError) -> JournalUnavailable:
        return unavailable(error, f"cannot read the journal in {self._directory.path}")


_JOURNALS: "weakref.WeakSet[Journal]" = weakref.WeakSet()


def _forget_parents() -> None:
    for journal in list(_JOURNALS):
        journal._forget_parent()


os.register_at_fork(after_in_child=_forget_parents)
