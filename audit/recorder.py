"""The only writer of the audit log.

A row is recorded when :func:`record` returns: PostgreSQL acknowledged the commit. It may carry
other writes (the run it closes) into the same transaction. Explicit calls only, on a connection
of our own with its own commit: never in a caller's transaction, never from a signal.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.sql import statement
from techno.database.current import store
from techno.database.errors import StoreError, StoreUnavailable
from techno.database.group_commit import Statement, Write
from techno.governance.principal import ANONYMOUS, Principal
from techno.governance.trace import Trace
from techno.governance.verdict import Verdict

HOST = socket.gethostname()
#: More characters than any value we write: caller text is capped long before.
UNLIMITED_CHARACTERS = 1_000_000
SALT_BYTES = 16
#: Told after each write how many seconds it took (the metrics listen here).
WRITE_OBSERVERS: list[Callable[[float], None]] = []


class AuditUnavailable(Exception):
    """The row could not be made durable, so the request must not be answered as if it were."""


@dataclass(frozen=True, slots=True)
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
            "salt": secrets.token_hex(SALT_BYTES),
        }


_insert: Statement | None = None
_insert_lock = threading.Lock()


def insert_statement() -> Statement:
    """Return the insert, fitted to the widths of the table that is there.

    An adopted table's texts can be narrower than ours; the companion keeps the whole value.
    Raises :class:`StoreError` when the database cannot be asked.
    """
    global _insert
    if _insert is None:
        with _insert_lock:
            if _insert is None:
                limits = dict(store().reads.rows(statement("column_limits")))
                sql = statement("insert_trace")
                for placeholder, column in (
                    ("{session_limit}", "session_id"),
                    ("{address_limit}", "user_ip"),
                ):
                    limit = int(limits.get(column, UNLIMITED_CHARACTERS))
                    sql = sql.replace(placeholder, str(limit))
                _insert = Statement(
                    "audit.trace", sql, statement("find_traces"), "trace_id", order=10
                )
    return _insert


def record(entry: Entry, *also: Write) -> None:
    """Make ``entry`` durable, and ``also`` in the same transaction.

    Raises :class:`AuditUnavailable` when the row is not durable; then nothing of ``also`` may
    be taken as done either.
    """
    started_s = time.perf_counter()
    try:
        store().writes.commit(*also, Write(insert_statement(), entry.row()))
    except StoreUnavailable as error:
        raise AuditUnavailable(str(error)) from error
    except StoreError as error:
        raise AuditUnavailable(f"the audit store refused the row: {error}") from error
    finally:
        for observer in WRITE_OBSERVERS:
            observer(time.perf_counter() - started_s)
