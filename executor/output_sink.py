"""What a run prints, made durable while it still runs.

The engine hands over each piece; a few times a second all that came is written in one statement.
While PostgreSQL is away the pieces wait here, no more of them than the run's output limit.
"""

from __future__ import annotations

import base64
import threading
from types import TracebackType
from typing import Self

import structlog

from audit import spill
from executor.statements import APPEND_OUTPUT
from techno.database.current import store
from techno.database.errors import StoreError
from techno.database.group_commit import Write

log = structlog.get_logger(__name__)
FLUSH_EVERY_S = 0.2
#: Smaller pieces of one stream that come together become one row of at most this size.
ROW_BYTES = 65_536
ROWS_AT_ONCE = 16


class OutputSink:
    """Takes the output of one run; a context manager, at whose end everything is written once."""

    def __init__(self, execution_id: str) -> None:
        self._execution_id = execution_id
        self._mutex = threading.Lock()
        #: A piece that was tried once may stand already: it is ``bytes``, and stays as it is.
        self._waiting: list[tuple[int, str, bytes | bytearray]] = []
        self._position = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="run-output", daemon=True)

    def take(self, stream: str, data: bytes) -> None:
        """Take the next piece of a stream (``on_output`` of the engine)."""
        with self._mutex:
            last = self._waiting[-1] if self._waiting else None
            if (
                last is not None
                and last[1] == stream
                and isinstance(last[2], bytearray)
                and len(last[2]) + len(data) <= ROW_BYTES
            ):
                last[2].extend(data)
            else:
                self._waiting.append((self._position, stream, bytearray(data)))
            self._position += len(data)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        while self._flush():
            pass
        self._spill()

    def _keep(self) -> None:
        while not self._ended.wait(FLUSH_EVERY_S):
            self._flush()

    def _flush(self) -> bool:
        """Write some of what waits; return whether to go on. What cannot be written waits on."""
        with self._mutex:
            taken = [(at, stream, bytes(data)) for at, stream, data in self._waiting[:ROWS_AT_ONCE]]
            del self._waiting[: len(taken)]
            left = bool(self._waiting)
        if not taken:
            return False
        try:
            store().writes.commit(*map(self._write, taken))
        except StoreError as error:
            log.warning("output waits", execution_id=self._execution_id, cause=str(error))
            with self._mutex:
                self._waiting[:0] = taken
            return False
        return left

    def _spill(self) -> None:
        """Journal what PostgreSQL did not take until the end."""
        if self._waiting:
            try:
                spill.spill(list(map(self._write, self._waiting)))
            except spill.JournalUnavailable as error:
                log.error("output was lost", execution_id=self._execution_id, cause=str(error))

    def _write(self, piece: tuple[int, str, bytes | bytearray]) -> Write:
        position, stream, data = piece
        return Write(
            APPEND_OUTPUT,
            {
                "key": f"{self._execution_id}:{position}",
                "execution_id": self._execution_id,
                "position": position,
                "stream": stream,
                "data": base64.b64encode(data).decode("ascii"),
            },
        )
