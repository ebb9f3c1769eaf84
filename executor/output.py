"""Reads what a child writes: both pipes without deadlock, and only their heads are kept."""

from __future__ import annotations

import codecs
import math
import select
import time
from collections.abc import Callable

from executor import instant_calls
from executor.spawn import Child

OnOutput = Callable[[str, bytes], None]


class Capture:
    """The first `limit_bytes` of one stream, and a count of all of it.

    Memory stays within the limit however much is taken; what lies beyond it is only counted, so
    that a writer is never blocked by a reader that has seen enough.
    """

    __slots__ = ("_kept", "_limit_bytes", "seen_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = max(0, limit_bytes)
        self._kept = bytearray()
        self.seen_bytes = 0

    @property
    def is_truncated(self) -> bool:
        """Whether the stream was longer than what is kept."""
        return self.seen_bytes > len(self._kept)

    def take(self, chunk: bytes) -> bytes:
        """Count a chunk, keep what still fits, and return that part (maybe empty)."""
        self.seen_bytes += len(chunk)
        room = self._limit_bytes - len(self._kept)
        fitting = chunk if len(chunk) <= room else chunk[:room]
        self._kept += fitting
        return fitting

    def text(self) -> str:
        """What is kept, as text: invalid UTF-8 becomes U+FFFD, NUL stays NUL.

        A character that the limit cut in two is left out as a whole. A truncated text is thereby
        always a prefix of the text that no limit would have cut.
        """
        if not self._kept:
            return ""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return decoder.decode(bytes(self._kept), final=not self.is_truncated)


class Streams:
    """Both pipes of a child, and the notice of its leader's end, in one poll.

    A pipe is never waited for beyond the poll, and closed at its end; so a process that keeps a
    write end open can neither hang a reader nor is it waited for here. Until the leader has ended
    we hold the write ends too: without them the ends of both pipes would wake us a moment before
    the leader's own, for nothing.
    """

    def __init__(self, child: Child, limit_bytes: int, on_output: OnOutput | None) -> None:
        self.stdout = Capture(limit_bytes)
        self.stderr = Capture(limit_bytes)
        self.has_leader_ended = False
        self.complaint = ""
        self._on_output = on_output
        self._pidfd = child.pidfd
        self._open = {child.stdout: ("stdout", self.stdout), child.stderr: ("stderr", self.stderr)}
        self._write_ends = child.write_ends
        self._poll = select.poll()
        for descriptor in (child.pidfd, *self._open):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Wait until something is there or the time is over, and read it. False: there was not."""
        ready = self._poll.poll(math.ceil(timeout_s * 1000))
        for descriptor, _ in ready:
            if descriptor == self._pidfd:
                self.has_leader_ended = True
                self._poll.unregister(descriptor)
                self._let_go_of_write_ends()
            else:
                self._read(descriptor)
        return bool(ready)

    def pump(self, seconds: float) -> None:
        """Read whatever comes during that time; a sleep that never blocks a writer."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            self.wait(left_s)

    def drain(self, bound_s: float) -> None:
        """Read what is there already: until the ends, or nothing is there, or time is over."""
        self._let_go_of_write_ends()
        until = time.monotonic() + bound_s
        for descriptor in tuple(self._open):
            while self._read(descriptor) and time.monotonic() < until:
                pass

    def close(self) -> None:
        """Give all descriptors back; a process still writing gets SIGPIPE."""
        self._let_go_of_write_ends()
        for descriptor in (self._pidfd, *self._open):
            instant_calls.close(descriptor)
        self._open.clear()

    def _let_go_of_write_ends(self) -> None:
        """From here on a pipe ends with the last process that can write to it."""
        descriptors, self._write_ends = self._write_ends, ()
        for descriptor in descriptors:
            instant_calls.close(descriptor)

    def _read(self, descriptor: int) -> bool:
        """Read once; return whether there may be more."""
        chunk = instant_calls.read(descriptor)
        if chunk is None:
            return False
        name, capture = self._open[descriptor]
        if not chunk:
            self._poll.unregister(descriptor)
            del self._open[descriptor]
            instant_calls.close(descriptor)
            return False
        if (fitting := capture.take(chunk)) and self._on_output is not None:
            self._report(self._on_output, name, fitting)
        return True

    def _report(self, on_output: OnOutput, name: str, data: bytes) -> None:
        try:
            on_output(name, data)
        except Exception as error:  # noqa: BLE001 - a listener's fault must not lose the run
            self._on_output = None
            self.complaint = f"on_output failed and was called no more: {error!r}"
