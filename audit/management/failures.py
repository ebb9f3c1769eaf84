"""What a verb may meet and tell in one sentence instead of a traceback."""

from __future__ import annotations

import psycopg

from audit.checkpoints import DatabaseRefused
from audit.journal import JournalUnavailable, ReplayBusy
from audit.note import NoteError
from audit.publishing import PublishFailed
from audit.recorder import AuditUnavailable
from audit.sealer import RowMissing
from audit.signing import NoSigningKey
from techno.database.errors import StoreError

EXPECTED = (
    AuditUnavailable,
    DatabaseRefused,
    JournalUnavailable,
    NoSigningKey,
    PublishFailed,
    NoteError,
    OSError,
    ReplayBusy,
    RowMissing,
    StoreError,
    psycopg.Error,
)


def sentence(error: BaseException) -> str:
    """Return what ``error`` says, with its kind where the text alone would not tell."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, psycopg.Error):
        return f"PostgreSQL: {text.splitlines()[0]}"
    return text
