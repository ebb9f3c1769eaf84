"""Live probes: each asks one thing and says in one line how it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from audit.condition import journal_condition, proof_condition
from audit.journal import JournalUnavailable
from audit.privileges import changeable_tables
from diagnostics.memory import get_memory_stats
from techno.database.current import store
from techno.database.errors import StoreError
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

DISK_WARNING_PERCENT = 85.0
DISK_BLOCKED_PERCENT = 97.0
MEMORY_WARNING_PERCENT = 92.0
#: Sealing is done every second and signing every few; beyond this something stands still.
SEALING_LATE_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: ``message`` is one line for an operator."""

    name: str
    status: Status
    message: str
    reason_codes: tuple[ReasonCode, ...] = ()
    duration_ms: int = 0


def database() -> Finding:
    """Whether the audit store answers a query."""
    try:
        store().reads.row("SELECT 1")
    except StoreError as error:
        return Finding(
            "diagnostic.database",
            Status.BLOCKED,
            f"PostgreSQL does not answer: {error}",
            (ReasonCode.G17_AUDIT_UNAVAILABLE,),
        )
    return Finding("diagnostic.database", Status.APPROVED, "PostgreSQL answers.")


def journal() -> Finding:
    """Whether rows wait in the journal, and whether it could take more."""
    try:
        found = journal_condition()
    except JournalUnavailable as error:
        return Finding(
            "diagnostic.journal",
            Status.BLOCKED,
            f"The journal cannot be used: {error}",
            (ReasonCode.G17_AUDIT_UNAVAILABLE,),
        )
    if found.damaged_segments:
        message = f"{found.damaged_segments} damaged journal files stand aside; look at them."
        return Finding("diagnostic.journal", Status.BLOCKED, message)
    if found.records:
        message = f"{found.records} rows wait in the journal for {found.oldest_s or 0:.0f} s."
        return Finding("diagnostic.journal", Status.WARNING, message)
    return Finding("diagnostic.journal", Status.APPROVED, "The journal is empty.")


def proof() -> Finding:
    """Whether rows are sealed and signed in time."""
    try:
        found = proof_condition()
    except StoreError as error:
        message = f"The tree cannot be read: {error}"
        return Finding("diagnostic.proof", Status.BLOCKED, message)
    if found.refusal:
        return Finding("diagnostic.proof", Status.BLOCKED, found.refusal)
    if found.unsealed_s > SEALING_LATE_S:
        message = f"Rows wait to be sealed for {found.unsealed_s:.0f} s; does the keeper run?"
        return Finding("diagnostic.proof", Status.WARNING, message)
    message = f"{found.sealed_rows} rows are sealed, {found.signed_rows or 0} are signed."
    return Finding("diagnostic.proof", Status.APPROVED, message)


def privileges() -> Finding:
    """Whether the running role could change audit rows."""
    try:
        tables = changeable_tables(store().reads.rows)
    except StoreError as error:
        message = f"The database cannot be asked who may change audit rows: {error}"
        return Finding("diagnostic.privileges", Status.BLOCKED, message)
    if tables:
        message = f"The running database role could change rows of {', '.join(tables)}."
        return Finding("diagnostic.privileges", Status.WARNING, message)
    message = "The running database role cannot change audit rows."
    return Finding("diagnostic.privileges", Status.APPROVED, message)


def disk() -> Finding:
    """Whether there is room where our own state is kept."""
    path = settings.VAR_DIR if os.path.isdir(settings.VAR_DIR) else settings.BASE_DIR
    found = os.statvfs(path)
    used = 100.0 - found.f_bavail * 100.0 / max(1, found.f_blocks)
    status = Status.APPROVED
    if used >= DISK_BLOCKED_PERCENT:
        status = Status.BLOCKED
    elif used >= DISK_WARNING_PERCENT:
        status = Status.WARNING
    return Finding("diagnostic.disk", status, f"The disk of our state is {used:.0f} % full.")


def memory() -> Finding:
    """Whether the host has memory left."""
    percent = get_memory_stats().percent
    status = Status.WARNING if percent >= MEMORY_WARNING_PERCENT else Status.APPROVED
    return Finding("diagnostic.memory", status, f"{percent:.0f} % of memory is used.")


PROBES: tuple[Callable[[], Finding], ...] = (database, journal, proof, privileges, disk, memory)


def run_probes() -> list[Finding]:
    """Ask every probe; return what they found, with how long each took."""
    findings = []
    for probe in PROBES:
        started_s = time.perf_counter()
        found = probe()
        took_ms = round((time.perf_counter() - started_s) * 1000)
        findings.append(
            Finding(found.name, found.status, found.message, found.reason_codes, took_ms)
        )
    return findings
