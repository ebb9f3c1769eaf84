"""Reading runs: one, and a page of them; only those that the reader may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing

from executor.engine import Outcome, Result
from executor.models import RunState
from executor.output_removal import removal_facts
from executor.sql import statement
from techno.database.current import store
from techno.governance.principal import Principal, Scope
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import iso
from techno.governance.verdict import Verdict, checked, refuse

LIMIT_DEFAULT = 50
LIMIT_MOST = 200
_CURSOR_SALT = "executor.runs"

NOT_THERE = refuse(
    ReasonCode.G8_UNKNOWN_ACTION, http_status=404, message="There is no such run for this key."
)
_OF_STATE = {
    RunState.WAITING: refuse(ReasonCode.G14_APPROVAL_REQUIRED),
    RunState.QUEUED: refuse(ReasonCode.E1_QUEUED),
    RunState.RUNNING: refuse(ReasonCode.E2_RUNNING),
}
#: An operator's words about an end are the caller's too when somebody made that end.
_TOLD_ENDS = frozenset({"E8_cancelled", "E9_interrupted", "E12_timeout"})


class BadCursor(ValueError):
    """The cursor was not made by this service."""


class NoSuchRun(Exception):
    """There is no such run, or it is none of the reader's business: that is told in one word."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as its row has it."""

    execution_id: str
    trace_id: str
    action: str
    state: str
    status: str
    reason_codes: list[str]
    key_prefix: str
    queue: str
    host: str
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    exit_code: int | None
    signal: int | None
    output_bytes: int
    truncated: bool
    detail: str
    cancel_requested_at: datetime | None
    cancel_requested_by: str | None
    cancel_reason: str
    timeout_s: float
    version: int | None
    principal_kind: str
    output_removed_at: datetime | None
    stdout: str = ""
    stderr: str = ""

    @property
    def is_ended(self) -> bool:
        """Whether it is over."""
        return self.state == RunState.ENDED

    @property
    def verdict(self) -> Verdict:
        """What the run's row says of it: how it ended, or how far it has come."""
        if self.is_ended:
            codes = [ReasonCode.of(code) for code in self.reason_codes]
            message = codes[0].value.meaning if codes else ""
            return checked(self.status, self.reason_codes, 200, message)
        return _OF_STATE.get(RunState(self.state), refuse(ReasonCode.E_UNKNOWN))

    @property
    def result(self) -> Result | None:
        """The run's result as far as its row holds it; ``None`` while there is none."""
        if not self.is_ended or self.started_at is None:
            return None
        return Result(
            outcome=Outcome.EXITED,
            exit_code=self.exit_code,
            signal=self.signal,
            stdout=self.stdout,
            stderr=self.stderr,
            truncated=self.truncated,
            stdout_bytes=self.output_bytes,
            stderr_bytes=0,
            started_at=self.started_at.timestamp(),
            duration_ms=self.duration_ms or 0,
            pid=None,
            detail=self.detail,
            survivors=(),
        )

    def facts(self) -> dict[str, Any]:
        """Return what the API tells of a run beside its output."""
        cancel = None
        if self.cancel_requested_at is not None:
            cancel = {
                "at": iso(self.cancel_requested_at),
                "by": self.cancel_requested_by or "",
                "reason": self.cancel_reason,
            }
        return {
            "execution_id": self.execution_id,
            "trace_id": self.trace_id,
            "command": self.action,
            "version": self.version,
            "state": self.state,
            "status": self.verdict.status.value,
            "reason_codes": self.verdict.codes,
            "key": self.key_prefix,
            "queue": self.queue,
            "host": self.host,
            "requested_at": iso(self.requested_at),
            "started_at": self.started_at and iso(self.started_at),
            "ended_at": self.ended_at and iso(self.ended_at),
            "duration_ms": self.duration_ms,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "output_bytes": self.output_bytes,
            "truncated": self.truncated,
            **removal_facts(self.ended_at, self.output_removed_at),
            "timeout_s": self.timeout_s,
            "cancel": cancel,
            "ending": self.detail if _TOLD_ENDS.intersection(self.reason_codes) else "",
        }


_COLUMNS = """execution_id, trace_id::text, action, state, status, reason_codes, key_prefix, queue,
    host, requested_at, started_at, ended_at, duration_ms, exit_code, signal, output_bytes,
    truncated, detail, cancel_requested_at, cancel_requested_by, cancel_reason, timeout_s, version,
    principal_kind, output_removed_at"""


def stored_run(execution_id: str) -> StoredRun:
    """Return a run with its output. Raises :class:`NoSuchRun` and ``StoreUnavailable``."""
    row = store().reads.row(
        f"SELECT {_COLUMNS}, stdout, stderr FROM command_runs "  # noqa: S608 - no value is in it
        "WHERE execution_id = %s",
        [execution_id],
    )
    if row is None:
        raise NoSuchRun
    return StoredRun(*row)


def state_of(execution_id: str) -> str:
    """Return how far a run has come. Raises :class:`NoSuchRun` and ``StoreUnavailable``."""
    row = store().reads.row(
        "SELECT state FROM command_runs WHERE execution_id = %s", [execution_id]
    )
    if row is None:
        raise NoSuchRun
    return str(row[0])


def visible_run(execution_id: str, reader: Principal) -> StoredRun:
    """Return a run that ``reader`` may see. Raises :class:`NoSuchRun`, also for all others."""
    run = stored_run(execution_id)
    if not may_see(run.principal_kind, run.key_prefix, reader):
        raise NoSuchRun
    return run


def may_see(kind: str, key_prefix: str, reader: Principal) -> bool:
    """Whether a run that this principal asked for is the reader's own, or all are open to it."""
    if reader.has_scope(Scope.RUNS_READ_ALL):
        return True
    own = bool(reader.key_prefix) and reader.key_prefix == key_prefix
    return own and reader.kind.value == kind


@dataclass(frozen=True, slots=True)
class RunQuery:
    """What to list. Empty texts and ``None`` mean no restriction; all others hold at once."""

    limit: int = LIMIT_DEFAULT
    cursor: str = ""
    state: str = ""
    status: str = ""
    action: str = ""
    queue: str = ""
    key: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first, and the cursor of older ones."""

    runs: list[StoredRun]
    next: str | None


def list_runs(query: RunQuery, reader: Principal) -> RunPage:
    """Return one page of what ``reader`` may see. Raises :class:`BadCursor`."""
    where: list[str] = []
    values: list[Any] = []

    def require(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    if not reader.has_scope(Scope.RUNS_READ_ALL):
        require("key_prefix = %s AND principal_kind = %s", reader.key_prefix, reader.kind.value)
    for column, value in (
        *(("state", query.state), ("status", query.status), ("action", query.action)),
        *(("queue", query.queue), ("key_prefix", query.key)),
    ):
        if value:
            require(f"{column} = %s", value)
    if query.since is not None:
        require("requested_at >= %s", query.since)
    if query.until is not None:
        require("requested_at < %s", query.until)
    if query.cursor:
        require(
            "(requested_at, execution_id) < (%s::timestamptz, %s)", *decode_cursor(query.cursor)
        )
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    rows = store().list_reads.rows(
        f"SELECT {_COLUMNS}, requested_at::text AS place FROM command_runs {condition} "  # noqa: S608
        "ORDER BY requested_at DESC, execution_id DESC LIMIT %s",
        [*values, query.limit + 1],
    )
    page = rows[: query.limit]
    more = len(rows) > query.limit
    return RunPage(
        [StoredRun(*row[:-1]) for row in page],
        encode_cursor(page[-1][-1], page[-1][0]) if more else None,
    )


def encode_cursor(requested_at: str, execution_id: str) -> str:
    """Return the signed, opaque form of a position in the list; safe in a URL as it is."""
    position = signing.b64_encode(f"{requested_at}~{execution_id}".encode("ascii")).decode()
    return signing.Signer(salt=_CURSOR_SALT, sep=".").sign(position)


def decode_cursor(cursor: str) -> tuple[str, str]:
    """Return the position that ``cursor`` stands for. Raises :class:`BadCursor`."""
    try:
        encoded = signing.Signer(salt=_CURSOR_SALT, sep=".").unsign(cursor)
        requested_at, execution_id = signing.b64_decode(encoded.encode()).decode("ascii").split("~")
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor("cursor must be one that this service returned") from error
    return requested_at, execution_id


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of output: where it begins, which stream it is of, and its bytes."""

    position: int
    stream: str
    data: bytes


def output_after(run: StoredRun, after: int, most_bytes: int, *, ended: bool) -> list[Stretch]:
    """Return what a run printed from position ``after`` on, at most ``most_bytes`` of it."""
    rows = store().reads.rows(
        statement("output_after"), {"run": run.execution_id, "after": after, "most": most_bytes}
    )
    if not rows and ended and not _has_stretches(run.execution_id):
        run = run if run.is_ended else stored_run(run.execution_id)
        return _from_text(run, after, most_bytes)
    found: list[Stretch] = []
    left = most_bytes
    for position, stream, raw in rows:
        data = bytes(raw)[max(0, after - position) :][:left]
        if data:
            found.append(Stretch(max(position, after), stream, data))
            left -= len(data)
    return found


def _has_stretches(execution_id: str) -> bool:
    return store().reads.row(statement("has_output"), [execution_id]) is not None


def _from_text(run: StoredRun, after: int, most_bytes: int) -> list[Stretch]:
    """Return the output of a run that was answered whole: first one stream, then the other."""
    found: list[Stretch] = []
    position, left = 0, most_bytes
    for stream, text in (("stdout", run.stdout), ("stderr", run.stderr)):
        raw = text.encode("utf-8")
        data = raw[max(0, after - position) :][:left]
        if data:
            found.append(Stretch(max(position, after), stream, data))
            left -= len(data)
        position += len(raw)
    return found
