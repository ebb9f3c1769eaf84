"""Live probes: each asks one thing and says in one line how it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from diagnostics.memory import get_memory_stats
from techno.database.current import store
from techno.database.errors import StoreError
from techno.governance.reason_codes import ReasonCode
from techno.governance.status import Status

DISK_WARNING_PERCENT = 85.0
DISK_BLOCKED_PERCENT = 97.0
MEMORY_WARNING_PERCENT = 92.0


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


PROBES: tuple[Callable[[], Finding], ...] = (database, disk, memory)


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
