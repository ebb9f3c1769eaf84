"""A bundle for a browser: written while it is read, at flat memory, and never kept here."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import structlog

from audit.checkpoints import make_checkpoint
from audit.export import Exported, export_bundle, range_to_export
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.signing import NoSigningKey
from audit.verification import DEADLINE_S

log = structlog.get_logger(__name__)
PIECE_BYTES = 65_536
#: Each holds a thread and a connection for as long as it goes on.
EXPORTS_MOST = 2

_free = threading.Semaphore(EXPORTS_MOST)


class TooManyExports(Exception):
    """As many are written already as this process writes at once."""


def plan_export(since: datetime | None, until: datetime | None) -> Exported:
    """Seal and sign what there is, and return which leaves a bundle of that time holds.

    A host without the signing key leaves the signing to the one that has it. Raises
    ``audit.export.NothingToExport``, ``psycopg.Error``, and what sealing and signing meet.
    """
    with keeper_connection() as connection:
        connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
        seal_all(connection)
        try:
            make_checkpoint(connection, signing_directory(), origin())
        except NoSigningKey as error:
            log.info("an export does without a checkpoint of its own", cause=str(error))
        return range_to_export(connection, since, until)


class BundleStream:
    """The pieces of a bundle, in order. ``close`` ends it, also when it was never begun.

    The writing thread waits for whoever reads, so nothing piles up. What it meets is raised to the
    reader: a bundle that could not be written ends in an error, not in a shorter bundle.
    """

    def __init__(self, planned: Exported, since: datetime | None, until: datetime | None) -> None:
        """Prepare; nothing is read yet. Raises :class:`TooManyExports`."""
        if not _free.acquire(blocking=False):
            raise TooManyExports
        self._planned, self._since, self._until = planned, since, until
        self._read_end = self._write_end = -1
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._thread is None:
            self._begin()
        piece = os.read(self._read_end, PIECE_BYTES)
        if piece:
            return piece
        self._join()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def close(self) -> None:
        """Let go of everything; a writer that goes on meets a broken pipe."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._read_end >= 0:
            os.close(self._read_end)
        self._join()
        _free.release()

    def _begin(self) -> None:
        self._read_end, self._write_end = os.pipe()
        self._thread = threading.Thread(target=self._write, name="export", daemon=True)
        self._thread.start()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _write(self) -> None:
        try:
            with os.fdopen(self._write_end, "wb") as target, _connection() as connection:
                export_bundle(
                    connection,
                    target,
                    since=self._since,
                    until=self._until,
                    leaves=(self._planned.first, self._planned.end),
                )
        except BrokenPipeError:
            return  # nobody reads any more
        except Exception as error:
            log.error("an export broke off", exc_info=error)
            self._error = error


def _connection() -> psycopg.Connection[Any]:
    connection = keeper_connection()
    connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
    return connection
