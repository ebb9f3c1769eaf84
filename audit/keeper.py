"""What the log needs done in the background: replay, sealing, checkpoints, partitions.

One process does it, again and again; each task says when it wants to be called next and fails on
its own. Several keepers (on several hosts) do no harm: replay is local, sealing takes turns, and
only the host that holds the signing key signs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import structlog
from django.conf import settings

from audit import spill
from audit.checkpoints import DatabaseRefused, latest, make_checkpoint
from audit.journal import ReplayBusy
from audit.note import Note, NoteError, VerifierKey
from audit.publishing import PublishFailed, ask_witness, post_checkpoint, publish_tiles
from audit.sealer import BATCH_ROWS, RowMissing, seal_batch
from audit.signing import NoSigningKey, SigningDirectory, default_origin
from techno.database.connection import connect
from techno.database.current import connection_parameters
from techno.database.errors import StoreError

log = structlog.get_logger(__name__)

SEAL_EVERY_S = 1.0
REPLAY_EVERY_S = 1.0
#: Every second checkpoint is handed over; the others only grow the next one.
PUBLISH_EVERY_CHECKPOINTS = 2
PARTITIONS_EVERY_S = 6 * 3600.0
PARTITIONS_AHEAD_MONTHS = 3
STATEMENT_DEADLINE_S = 60.0
#: The same complaint is repeated in the log this often at most.
REPEAT_EVERY_S = 60.0


def signing_directory() -> SigningDirectory:
    """Return where this installation keeps its signing keys and its memory."""
    return SigningDirectory(settings.VAR_DIR / "audit")


def origin() -> str:
    """Return the name that a log signed here for the first time gets."""
    return settings.AUDIT_ORIGIN or default_origin()


def keeper_connection() -> psycopg.Connection[Any]:
    """Open a connection for the keeper's work. Raises ``psycopg.Error``."""
    return connect(connection_parameters(), deadline_s=STATEMENT_DEADLINE_S, name="techno-keeper")


@dataclass
class Task:
    """One thing to be done every ``every_s`` seconds."""

    name: str
    every_s: float
    work: Callable[[psycopg.Connection[Any]], None]
    due_s: float = 0.0
    complaint: str = ""
    complained_s: float = field(default=-REPEAT_EVERY_S)


def seal_all(connection: psycopg.Connection[Any]) -> int:
    """Seal everything that waits; return how many rows that were."""
    total = 0
    while sealed := seal_batch(connection):
        total += sealed
        if sealed < BATCH_ROWS:
            break
    return total


def _replay(connection: psycopg.Connection[Any]) -> None:
    if spill.depth().records:
        found = spill.replay()
        log.warning("the journal was replayed", result=str(found))


def _seal(connection: psycopg.Connection[Any]) -> None:
    seal_all(connection)


def _checkpoint(connection: psycopg.Connection[Any]) -> None:
    seal_all(connection)
    directory = signing_directory()
    try:
        make_checkpoint(connection, directory, origin())
    except DatabaseRefused as refusal:
        directory.note_refusal(str(refusal))
        raise
    directory.note_refusal("")


def _publish(connection: psycopg.Connection[Any]) -> None:
    """Hand the newest checkpoint to everybody who is configured; one failing stops no other."""
    found = latest(lambda sql, parameters: connection.execute(sql, parameters).fetchall())
    note_text = found[1] if found else ""
    if not note_text or _published.get("note") == note_text:
        return
    note = Note.parse(note_text.encode())
    failures: list[str] = []
    keys = [VerifierKey.parse(vkey) for vkey in settings.AUDIT_WITNESS_KEYS]
    work: list[Callable[[], object]] = []
    if settings.AUDIT_PUBLISH_DIR:
        work.append(lambda: publish_tiles(connection, Path(settings.AUDIT_PUBLISH_DIR), note))
    work += [partial(post_checkpoint, url, note) for url in settings.AUDIT_PUBLISH_URLS]
    work += [partial(ask_witness, connection, url, keys, note) for url in settings.AUDIT_WITNESSES]
    for hand_over in work:
        try:
            hand_over()
        except (PublishFailed, OSError) as error:
            failures.append(str(error))
    if failures:
        raise PublishFailed("; ".join(failures))
    _published["note"] = note_text


#: What this process handed over last.
_published: dict[str, str] = {}


def _partitions(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT audit_make_partitions_v1(0, %s)", [PARTITIONS_AHEAD_MONTHS])


def tasks() -> list[Task]:
    """Return the keeper's tasks, in the order in which they are done when due together."""
    return [
        Task("replay", REPLAY_EVERY_S, _replay),
        Task("seal", SEAL_EVERY_S, _seal),
        Task("checkpoint", settings.CHECKPOINT_EVERY_S, _checkpoint),
        Task("publish", PUBLISH_EVERY_CHECKPOINTS * settings.CHECKPOINT_EVERY_S, _publish),
        Task("partitions", PARTITIONS_EVERY_S, _partitions),
    ]


_EXPECTED = (
    psycopg.Error,
    StoreError,
    spill.JournalUnavailable,
    DatabaseRefused,
    NoSigningKey,
    NoteError,
    PublishFailed,
    RowMissing,
    TimeoutError,
    OSError,
)


def keep(stop: threading.Event, due: list[Task]) -> None:
    """Do the tasks until ``stop`` is set. Never raises for what a task is expected to meet."""
    connection: psycopg.Connection[Any] | None = None
    while not stop.is_set():
        for task in due:
            if time.monotonic() < task.due_s or stop.is_set():
                continue
            task.due_s = time.monotonic() + task.every_s
            try:
                if connection is None or connection.closed:
                    connection = keeper_connection()
                task.work(connection)
                task.complaint = ""
            except ReplayBusy:
                continue
            except _EXPECTED as error:
                connection = _failed(task, error, connection)
        stop.wait(max(0.05, min(task.due_s for task in due) - time.monotonic()))
    if connection is not None:
        connection.close()


def _failed(
    task: Task, error: Exception, connection: psycopg.Connection[Any] | None
) -> psycopg.Connection[Any] | None:
    """Complain once about what a task met, and drop the connection it may have spoilt."""
    complaint = f"{type(error).__name__}: {error}"
    now = time.monotonic()
    if complaint != task.complaint or now - task.complained_s > REPEAT_EVERY_S:
        task.complaint, task.complained_s = complaint, now
        level = log.critical if isinstance(error, (DatabaseRefused, RowMissing)) else log.error
        level("the audit keeper could not do its work", task=task.name, cause=complaint)
    if isinstance(error, psycopg.Error) and connection is not None:
        connection.close()
        return None
    return connection
