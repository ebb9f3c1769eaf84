"""The only writer of the audit log.

A row is recorded when :func:`record` returns: PostgreSQL acknowledged the commit. It may carry
other writes (the run it closes) into the same transaction. Explicit calls only, on a connection
of our own with its own commit: never in a caller's transaction, never from a signal.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from audit import spill
from audit.sql import statement
from techno.database.current import store
from techno.database.errors import StoreError, StoreUnavailable
from techno.database.group_commit import Write, define_statement
from techno.governance.frozen import frozen
from techno.governance.principal import ANONYMOUS, Principal
from techno.governance.trace import Trace
from techno.governance.verdict import Verdict

HOST = socket.gethostname()
SALT_BYTES = 16
SALTS_AT_ONCE = 64
#: Told after each write how many seconds it took (the metrics listen here).
WRITE_OBSERVERS: list[Callable[[float], None]] = []


class _Salts(threading.local):
    """Random hexadecimal texts of ``SALT_BYTES`` each, drawn from the kernel many at once.

    Each drawing gives the interpreter lock away.
    """

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def next(self) -> str:
        """Return one that was never given before."""
        if not self._drawn:
            text = os.urandom(SALT_BYTES * SALTS_AT_ONCE).hex()
            self._drawn = [
                text[at : at + 2 * SALT_BYTES] for at in range(0, len(text), 2 * SALT_BYTES)
            ]
        return self._drawn.pop()

    def forget(self) -> None:
        """After a fork: what is left here is the parent's."""
        self._drawn = []


_salts = _Salts()
os.register_at_fork(after_in_child=_salts.forget)


class AuditUnavailable(Exception):
    """The row could not be made durable, so the request must not be answered as if it were."""


@frozen
class Entry:
    """Everything that one row says.

    ``action`` names what was asked (an action, or ``audit.read`` and the like), ``detail`` is a
    flat object of texts, whole numbers, booleans and nulls, never raw input.
    """

    trace: Trace
    verdict: Verdict
    action: str
    duration_ms: int
    principal: Principal = ANONYMOUS
    execution_id: str | None = None
    http_status: int | None = None
    detail: Mapping[str, str | int | bool | None] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the row as the insert statement takes it."""
        trace, verdict, principal = self.trace, self.verdict, self.principal
        return {
            "trace_id": trace.trace_id,
            "timestamp": trace.timestamp,
            "reason_codes": verdict.codes,
            "session_id": trace.session_id,
            "user_ip": trace.client_address,
            "status": verdict.status.value,
            "action": self.action,
            "method": trace.method,
            "path": trace.path,
            "http_status": self.http_status,
            "duration_ms": self.duration_ms,
            "principal_kind": principal.kind.value,
            "principal_label": principal.label,
            "key_prefix": principal.key_prefix,
            "execution_id": self.execution_id,
            "message": verdict.message,
            "host": HOST,
            "user_agent": trace.user_agent,
            "detail": dict(self.detail),
            "salt": _salts.next(),
        }


INSERT_TRACE = define_statement(
    "audit.trace",
    sql=statement("insert_trace"),
    exists_sql=statement("find_traces"),
    key_field="trace_id",
    order=10,
)


def record(entry: Entry, *also: Write) -> None:
    """Make ``entry`` durable, and ``also`` with it: all of them or none.

    PostgreSQL takes them in one transaction; while it is away the journal takes them as one
    record, which comes back into the database as it is. Raises :class:`AuditUnavailable` when
    neither did; then nothing of ``also`` may be taken as done either.
    """
    started_s = time.perf_counter()
    writes = (*also, Write(INSERT_TRACE, entry.row()))
    try:
        store().writes.commit(*writes)
    except StoreUnavailable as error:
        _spill(writes, error)
    except StoreError as error:
        raise AuditUnavailable(f"the audit store refused the row: {error}") from error
    finally:
        for observer in WRITE_OBSERVERS:
            observer(time.perf_counter() - started_s)


def _spill(writes: tuple[Write, ...], cause: StoreUnavailable) -> None:
    """Journal what PostgreSQL did not take. Raises :class:`AuditUnavailable`."""
    try:
        spill.spill(writes)
    except spill.JournalUnavailable as error:
        raise AuditUnavailable(f"PostgreSQL: {cause}; journal: {error}") from error
