"""Verifications that people ask for: one at a time, carried out by the keeper's own process.

A request is a row. The keeper of some host finds it, starts ``manage.py audit verify`` for it, and
that process says how far it has come, every second. One that says nothing for a while is over:
whoever looks is told that it was interrupted, and can ask again. Asking and the end are audit rows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.conf import settings
from django.db import Error, IntegrityError, connections
from django.utils import timezone

from audit.journal import JournalUnavailable
from audit.log_verification import Verified, verify_log
from audit.models import Verification, VerificationOutcome, VerificationState
from audit.note import NoteError
from audit.recorder import HOST
from techno.acts import Detail, recorded_change
from techno.gate import Governed, begin, conclude
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import APPROVED, Verdict, refuse
from techno.launch import launch_command

log = structlog.get_logger(__name__)
ACTION, END = "audit.verify", "audit.verify.end"
SAY_EVERY_S = 1.0
#: Without a word for so long a verification is over; its process says one every second.
SILENT_S = 30
FINDINGS_KEPT = 50
#: Hashing takes half of the cores and gives way to requests.
NICENESS = 10

_VERDICTS: dict[str, Verdict] = {
    VerificationOutcome.WHOLE: APPROVED,
    VerificationOutcome.DAMAGED: refuse(
        ReasonCode.E_UNKNOWN, message="The log is not what was signed."
    ),
    VerificationOutcome.FAILED: refuse(
        ReasonCode.E5_INTERNAL_ERROR, message="The verification did not come to its end."
    ),
    VerificationOutcome.INTERRUPTED: refuse(
        ReasonCode.E9_INTERRUPTED, message="The process that verified is gone."
    ),
}


class AlreadyAsked(Exception):
    """There is one that has not ended."""


def ask(governed: Governed) -> Verification:
    """Ask for a verification of the whole log, on behalf of whoever acts.

    Raises :class:`AlreadyAsked`, and ``AuditUnavailable``: nothing was asked for then.
    """
    try:
        with recorded_change(governed, ACTION) as detail:
            asked = Verification.objects.create(
                asked_at=timezone.now(), asked_by=governed.principal.label
            )
            detail["verification"] = str(asked.pk)
    except IntegrityError as error:
        raise AlreadyAsked from error
    return asked


def tend(connection: psycopg.Connection[Any]) -> None:
    """Close what fell silent, and start what waits, one at a time on this host.

    Raises ``psycopg.Error``, ``AuditUnavailable`` and ``OSError``.
    """
    silent = connection.execute(
        "SELECT id FROM audit_verifications "
        "WHERE state = 'running' AND seen_at < now() - make_interval(secs => %s)",
        [SILENT_S],
    ).fetchall()
    for (identity,) in silent:
        _end(identity, VerificationOutcome.INTERRUPTED, {})
    if _child.is_busy():
        return
    waiting = connection.execute(
        "SELECT id FROM audit_verifications WHERE state = 'waiting' LIMIT 1"
    ).fetchone()
    if waiting is not None:
        _child.start(waiting[0])


class _Child:
    """The process that carries one request out; it ends with the keeper."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def is_busy(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, identity: UUID) -> None:
        manage = str(Path(settings.BASE_DIR) / "manage.py")
        program = [sys.executable, manage, "audit", "verify", "--for-request", str(identity)]
        command = launch_command(program, death_signal=signal.SIGKILL)
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)


_child = _Child()


def carry_out(identity: UUID) -> None:
    """Verify for a request, in this process, unless somebody else does; say how it goes and ended.

    Never raises for what verifying meets: the request's end says it, and the log.
    """
    now = timezone.now()
    taken = Verification.objects.filter(pk=identity, state=VerificationState.WAITING).update(
        state=VerificationState.RUNNING, began_at=now, seen_at=now, host=HOST
    )
    if not taken:
        return
    os.nice(NICENESS)
    with _Saying(identity) as saying:
        try:
            found = verify_log(jobs=max(1, (os.cpu_count() or 1) // 2), progress=saying.note)
        except (psycopg.Error, Error, JournalUnavailable, NoteError, OSError) as error:
            log.error("a verification failed", verification=str(identity), exc_info=error)
            cause = str(error).strip().partition("\n")[0] or type(error).__name__
            outcome, result = VerificationOutcome.FAILED, {"cause": cause}
        else:
            whole = not found.damage
            outcome = VerificationOutcome.WHOLE if whole else VerificationOutcome.DAMAGED
            result = _told(found)
    _end(identity, outcome, result)


def _told(found: Verified) -> dict[str, Any]:
    """Return a result as it is kept with the request."""
    return {
        "sealed": found.sealed,
        "archived": found.archived,
        "unsealed": found.unsealed,
        "checkpoints": found.checkpoints,
        "last": found.last,
        "vkeys": list(found.vkeys),
        "waiting": found.waiting,
        "took_s": round(found.took_s, 1),
        "findings": len(found.damage),
        "damage": [
            {"kind": each.kind.value, "leaf": each.leaf, "message": each.message}
            for each in found.damage[:FINDINGS_KEPT]
        ],
    }


def _end(identity: UUID, outcome: str, result: dict[str, Any]) -> None:
    """Put the end on record, and then into the request. Raises ``AuditUnavailable``."""
    governed = begin(method="WORKER", path="manage.py audit verify")
    governed.principal = Principal(PrincipalKind.SYSTEM, "keeper", HOST)
    governed.action = END
    detail: Detail = {"verification": str(identity), "outcome": str(outcome)}
    for name in ("sealed", "checkpoints", "findings"):
        if name in result:
            detail[name] = result[name]
    governed.detail.update(detail)
    conclude(governed, _VERDICTS[outcome])
    open_ones = Verification.objects.filter(pk=identity).exclude(state=VerificationState.ENDED)
    open_ones.update(
        state=VerificationState.ENDED,
        open=None,
        outcome=outcome,
        ended_at=timezone.now(),
        result={**result, "trace_id": governed.trace.trace_id},
    )


class _Saying:
    """Says every second that the verification goes on, and how far it has come."""

    def __init__(self, identity: UUID, every_s: float = SAY_EVERY_S) -> None:
        self._identity = identity
        self._every_s = every_s
        self._progress = (0, 0)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verification", daemon=True)

    def note(self, done: int, size: int) -> None:
        """Remember how many rows of how many are done."""
        self._progress = (done, size)

    def __enter__(self) -> _Saying:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._say()

    def _run(self) -> None:
        try:
            while not self._over.wait(self._every_s):
                self._say()
        finally:
            connections.close_all()

    def _say(self) -> None:
        done, size = self._progress
        _undisturbed(
            lambda: Verification.objects.filter(pk=self._identity).update(
                done=done, total=size, seen_at=timezone.now()
            )
        )


def _undisturbed(say: Callable[[], object]) -> None:
    """Say it; an outage costs this saying only."""
    try:
        say()
    except Error as error:
        connections.close_all()
        log.warning("a verification's progress could not be told", cause=str(error).strip())
