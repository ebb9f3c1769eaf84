"""The only writer of segments. One at a time across processes, held to it by the lock."""

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from audit.journal_directory import JournalDirectory
from audit.journal_disk import DISK_FULL, JournalUnavailable, identity, unavailable, write_whole
from audit.journal_format import HEADER_BYTES, STATE_BYTES, State, encode_frames, frame_bytes
from audit.journal_lock import FileLock
from audit.journal_segment import GROWTH_BYTES, Head, create_segment, open_segment
from audit.journal_settle import SegmentLost, first_state, settle

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_PROBE_BYTES = 5  # the last byte that was acknowledged, and a frame's marker behind it


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes: of the whole journal, of the part of it kept in reserve, of a segment."""

    cap: int
    reserve: int
    segment: int


class Writer:
    """Appends records to the newest segment and starts new ones.

    Not thread-safe: every thread that wants to write needs its own, or takes turns. All but
    :meth:`locked`, :meth:`close` and :meth:`forget` are called with the lock held.
    """

    def __init__(self, directory: JournalDirectory, limits: Limits) -> None:
        self._directory = directory
        self._disk = directory.disk
        self._limits = limits
        self._lock = FileLock(directory, directory.lock_path)
        self._known: State | None = None  # the last state read or written
        self._known_is_current = False  # true once it was, with the lock held as it is now
        self._stored_bytes = b""
        self._head: Head | None = None
        self._before: State | None = None  # to go back to while the head, just made, is empty

    @contextlib.contextmanager
    def locked(self, deadline: float) -> Iterator[None]:
        """Be the one writer; raises ``LockBusy`` when that is not possible before ``deadline``."""
        self._lock.acquire(deadline)
        self._known_is_current, self._before = False, None
        try:
            yield
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let go of all files; a later call opens them again."""
        self._drop_head()
        self._lock.close()

    __del__ = close

    def forget(self) -> None:
        """In a child made by fork: let go of the copies of the parent's files."""
        self._lock.forget()
        self._drop_head()

    def write(self, payloads: Sequence[bytes]) -> Iterator[int]:
        """Make records durable in order; gives how many more are, each time some are."""
        done = 0
        while done < len(payloads):
            count = self._write_some(payloads[done:])
            done += count
            yield count

    def seal(self) -> State:
        """Close the newest segment, if it holds records, so that it never changes again."""
        stored, trusted = self._stored()
        self._drop_head()
        try:
            state = settle(self._directory, stored, trusted=trusted)
        except SegmentLost as lost:  # nothing to refuse here: replay reports what is missing
            logger.critical("journal: %s", lost)
            state = lost.state
        if state.end > HEADER_BYTES:
            state = state._replace(closed=True)
        if state != stored:
            self._store(state)
            self._sync_state()
        self._hold_lock()
        return state

    def furnish(self) -> None:
        """Set the reserve aside again if it was used and there is room for it."""
        within_cap = self._directory.usage_bytes() + self._limits.reserve <= self._limits.cap
        try:
            self._directory.furnish(self._limits.reserve if within_cap else 0)
        except (OSError, JournalUnavailable) as error:
            logger.warning("journal: no room could be set aside: %s", error)

    def _write_some(self, payloads: Sequence[bytes]) -> int:
        """Make at least the first record durable. After a failure, try in a new segment.

        A descriptor whose fsync failed is never used again: the kernel may have dropped what it
        could not write and call the next fsync a success.
        """
        failure: OSError | None = None
        for _ in range(_ATTEMPTS):
            full = failure is not None and failure.errno in DISK_FULL
            try:
                head, state = self._ready(frame_bytes(payloads[0]), on_reserve=full)
                return self._commit(head, state, payloads)
            except SegmentLost as lost:
                self._refuse(lost)
            except OSError as error:
                failure = error
                self._abandon()
                self._hold_lock()
        raise failure or RuntimeError("no attempt was made")

    def _ready(self, need: int, *, on_reserve: bool) -> tuple[Head, State]:
        """An open segment with room for ``need`` bytes."""
        state, trusted = self._stored()
        if not (trusted and self._undisturbed(state)):
            state = self._settled(state, trusted)
            if not state.closed:
                self._head = open_segment(self._directory, state)
        head = self._head
        if head is None or state.closed or on_reserve or state.end + need > state.limit:
            return self._rotate(state, need, on_reserve=on_reserve)
        return head, state

    def _stored(self) -> tuple[State, bool]:
        """The state, and whether it can be trusted: read just now and not set back."""
        known = self._known
        data = self._disk.pread(self._lock.fd, STATE_BYTES, 0)
        stored = known if known and data == self._stored_bytes else State.decode(data)
        set_back = known and stored and (stored.number, stored.end) < (known.number, known.end)
        if stored is not None and not set_back:
            self._known, self._stored_bytes, self._known_is_current = stored, data, True
            return stored, True
        return known or first_state(self._directory), False

    def _settled(self, state: State, trusted: bool) -> State:
        self._drop_head()
        try:
            settled = settle(self._directory, state, trusted=trusted)
        except SegmentLost as lost:
            self._refuse(lost)
        if settled != state:
            self._store(settled)
        return settled

    def _undisturbed(self, state: State) -> bool:
        """True when the open segment is the newest and ends where the last writer ended.

        Whoever was killed in a write left something behind that end; whoever cut the file left
        nothing in front of it. That it is still the file of that name is seen after the write.
        """
        head = self._head
        if head is None or (head.number, head.salt) != (state.number, state.salt):
            return False
        probe = self._disk.pread(head.fd, _PROBE_BYTES, state.end - 1)
        return not state.closed and len(probe) > 0 and not probe[1:].strip(b"\0")

    def _commit(self, head: Head, state: State, payloads: Sequence[bytes]) -> int:
        """Write what fits of ``payloads``, make it durable and make sure it is still there."""
        count, end = 0, state.end
        while count < len(payloads) and end + frame_bytes(payloads[count]) <= state.limit:
            end += frame_bytes(payloads[count])
            count += 1
        now_us = time.time_ns() // 1000
        data = encode_frames(state.salt, state.sequence + 1, now_us, payloads[:count])
        if end > state.size:
            self._grow(head, state, end)
        write_whole(self._disk, head.fd, data, state.end)
        self._disk.sync(head.fd)
        size = self._confirm(head, state, end)
        sequence = state.sequence + count
        self._store(state._replace(end=end, settled=end, size=size, sequence=sequence))
        self._before = None  # it holds a record now
        return count

    def _confirm(self, head: Head, state: State, end: int) -> int:
        """Make sure, before anything is acknowledged, that the names still lead to our files.

        Gives the segment's size. A lock that was replaced excludes nobody: somebody may have
        closed this segment meanwhile, so that what was just written does not count.
        """
        found = self._directory.find(head.path)
        if found is None or identity(found) != head.identity or found.st_size < end:
            lost = f"{head.path} was removed, replaced or cut while written to"
            raise SegmentLost(lost, state._replace(closed=True))
        self._hold_lock()
        return found.st_size

    def _hold_lock(self) -> None:
        if not self._lock.in_place():
            self.close()
            raise JournalUnavailable(
                f"{self._lock.path} was removed or replaced", "find out by whom; try again"
            )

    def _grow(self, head: Head, state: State, end: int) -> None:
        """Allocate ahead, which saves work with each record; only the write itself must succeed."""
        count = min(max(GROWTH_BYTES, end - state.size), state.limit - state.size)
        with contextlib.suppress(OSError):
            self._disk.allocate(head.fd, state.size, count)

    def _rotate(self, state: State, need: int, *, on_reserve: bool) -> tuple[Head, State]:
        """Start a segment behind ``state``, on the reserve if the disk or the cap is full."""
        self._drop_head()
        need += HEADER_BYTES
        room = self._limits.cap - self._limits.reserve - self._directory.usage_bytes()
        limit = min(max(self._limits.segment, need), room)
        over_cap = limit < need
        if on_reserve or over_cap:
            limit = self._reserve_bytes(need, over_cap=over_cap)
        before = state._replace(closed=True)
        self._head, state = create_segment(
            self._directory, before, limit, from_reserve=on_reserve or over_cap
        )
        self._before = before
        self._store(state)
        self._sync_state()
        if not (on_reserve or over_cap):
            self.furnish()
        return self._head, state

    def _reserve_bytes(self, need: int, *, over_cap: bool) -> int:
        found = self._directory.find(self._directory.reserve_path)
        if found is not None and found.st_size >= need:
            logger.error("journal: no room left but the reserve of %d bytes", found.st_size)
            return found.st_size
        if over_cap:
            raise JournalUnavailable(
                f"the journal in {self._directory.path} reached its cap of "
                f"{self._limits.cap} bytes",
                "let it be replayed, remove segments set aside as damaged, or raise the cap",
            )
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _abandon(self) -> None:
        """After a failed write: never touch this segment again, and say where it ends.

        One that never held a record goes away, or a full disk would collect them.
        """
        head, before, known = self._head, self._before, self._known
        self._drop_head()
        if head is None or known is None or not self._known_is_current:
            return  # nothing was written: others may have gone on from what we know
        logger.error("journal: segment %d abandoned after a failed write", head.number)
        with contextlib.suppress(OSError):  # then whoever comes next settles it
            if before is None:
                self._store(known._replace(closed=True))
            else:
                self._store(before)
                self._disk.unlink(head.path)

    def _refuse(self, lost: SegmentLost) -> NoReturn:
        """Say it once, loudly, and go on in a new segment; the gap stays on record."""
        logger.critical("journal: %s; acknowledged records may be lost", lost)
        self._drop_head()
        self._known = lost.state
        with contextlib.suppress(OSError):
            self._store(lost.state)
        if not self._lock.in_place():
            self._lock.close()
        raise JournalUnavailable(
            f"{lost}; acknowledged records may be lost",
            "find out by whom; the journal goes on in a new segment",
        ) from lost

    def _store(self, state: State) -> None:
        data = state.encode()
        write_whole(self._disk, self._lock.fd, data, 0)
        self._known, self._stored_bytes, self._known_is_current = state, data, True

    def _sync_state(self) -> None:
        try:
            self._disk.sync(self._lock.fd)
        except OSError as error:
            self.close()  # the next fsync needs a descriptor that has not failed
            raise unavailable(error, f"cannot write {self._lock.path}") from error

    def _drop_head(self) -> None:
        head, self._head, self._before = self._head, None, None
        if head is not None:
            with contextlib.suppress(OSError):  # all that counts was fsynced, or has failed
                self._disk.close(head.fd)
