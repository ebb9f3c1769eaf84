"""Where a row goes when PostgreSQL cannot take it, and how it comes back.

The journal keeps opaque records; here they get their meaning: the writes of one audit row with
whatever belonged into its transaction. Replay looks before it inserts, so a record may come
twice and is stored once.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from django.conf import settings

from audit.journal import Depth, Journal, JournalUnavailable, Replayed
from techno.database.current import store
from techno.database.errors import DuplicateKey, StoreError, StoreUnavailable
from techno.database.group_commit import Write, statement_named

log = structlog.get_logger(__name__)
FORMAT = 1
APPEND_TIMEOUT_S = 1.0

_journal: Journal | None = None
_lock = threading.Lock()


def journal() -> Journal:
    """Return this installation's journal."""
    global _journal
    if _journal is None:
        with _lock:
            if _journal is None:
                _journal = Journal(
                    settings.VAR_DIR / "journal", cap_bytes=settings.JOURNAL_CAP_BYTES
                )
    return _journal


def refused() -> Journal:
    """Return where records are kept that PostgreSQL will never take."""
    return Journal(settings.VAR_DIR / "journal-refused")


def spill(writes: Sequence[Write]) -> None:
    """Make ``writes`` durable on this host. Raises :class:`JournalUnavailable`."""
    record = {
        "format": FORMAT,
        "writes": [{"statement": write.statement.name, "row": write.row} for write in writes],
    }
    journal().append(orjson.dumps(record), timeout_s=APPEND_TIMEOUT_S)


def replay() -> Replayed:
    """Bring everything journalled into the database, each row once.

    Raises :class:`StoreUnavailable` when the database went away again (the rest comes next
    time), ``JournalUnavailable`` and ``ReplayBusy``.
    """
    return journal().replay(_deliver)


def depth() -> Depth:
    """Return how much waits. Raises :class:`JournalUnavailable`."""
    return journal().pending()


def _deliver(records: Sequence[bytes]) -> None:
    """Store a batch of records; what PostgreSQL will never take is put aside, loudly."""
    parsed = [_parse(record) for record in records]
    try:
        store().writes.commit_absent([write for writes in parsed for write in writes])
    except StoreUnavailable:
        raise
    except StoreError:
        for record, writes in zip(records, parsed, strict=True):
            _deliver_alone(record, writes)


def _deliver_alone(record: bytes, writes: list[Write]) -> None:
    try:
        try:
            store().writes.commit_absent(writes)
        except DuplicateKey:  # stored in the very moment between the look and the insert
            store().writes.commit_absent(writes)
    except StoreUnavailable:
        raise
    except StoreError as error:
        aside = refused()
        aside.append(record)
        aside.close()
        log.critical(
            "a journalled row cannot be stored and was put aside",
            cause=str(error),
            kept_in=str(settings.VAR_DIR / "journal-refused"),
            next_step="read it with `manage.py audit journal`; it is part of the record",
        )


def _parse(record: bytes) -> list[Write]:
    document: dict[str, Any] = orjson.loads(record)
    return [
        Write(statement_named(write["statement"]), write["row"]) for write in document["writes"]
    ]


__all__ = ["Depth", "JournalUnavailable", "depth", "journal", "refused", "replay", "spill"]
