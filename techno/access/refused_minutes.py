"""One audit row for a subject and minute, whichever processes refuse it, and its count.

A subject is what is refused together: an address, or a person at a page that is not theirs.

The row and the claim to the minute are one transaction, and the claim's key lets one process
through: whoever comes second finds the row that is durable already, and answers under it. Each
process adds what it counted every few seconds, and when the minute is over. What a minute came to
is told by a row that follows, in one transaction with the note that it is told: the subject's row
of two minutes later, or one of the keeper's when there is none. So a count is told once; a process
that is killed takes its last seconds' with it, never the row.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import orjson

from audit.recorder import AuditUnavailable
from techno.access.sql import statement
from techno.database.current import store
from techno.database.errors import DuplicateKey, StoreError
from techno.database.group_commit import Write, define_statement
from techno.gate import Governed, begin, conclude
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.trace import Trace, iso_ms
from techno.governance.verdict import Verdict, refuse

ACTION = "refused"
MINUTE_S = 60
#: A process says what it counted within this, so a minute is told when it is over for longer.
SETTLED_S = 15
#: A minute that no row of its address has told by then is told by the keeper.
LATE_MINUTES = 4
#: For so long it is remembered that a minute was told.
KEPT_MINUTES = 24 * 60

CLAIM = define_statement(
    "access.claim_minute",
    sql=statement("claim_minutes"),
    exists_sql=statement("find_claims"),
    key_field="name",
    order=20,
)
Detail = dict[str, str | int | bool | None]
About = dict[str, Any]


def name_of(subject: str, minute: int) -> str:
    """Return what the minute of a subject is called."""
    return f"{minute}|{subject}"


def open_minute(governed: Governed, verdict: Verdict, subject: str, minute: int) -> bool:
    """Have a durable row for this subject and minute; ``governed.trace`` is that row's then.

    ``governed``'s action, principal and detail must hold for all that are taken together.
    It is another one than before if some other process wrote it: the answer is to be counted then.
    Returns whether the row is shared by all processes; it is nobody else's when the database is
    away and the journal took it. Raises ``AuditUnavailable``.
    """
    plain = governed.detail
    about = _about(governed, verdict)
    try:
        told = _untold(subject, minute)
    except StoreError:
        conclude(governed, verdict)
        return False
    if told is not None:
        found, detail = told
        governed.detail = plain | detail
        governed.also.append(found)
    governed.also.append(_claim(name_of(subject, minute), subject, minute, governed, about))
    try:
        conclude(governed, verdict)
    except AuditUnavailable as error:
        if not isinstance(error.__cause__, DuplicateKey):
            raise
        governed.also.clear()
        governed.detail = plain
        _join(governed, verdict, subject, minute, about)
    return True


def refuse_together(governed: Governed, verdict: Verdict, subject: str) -> None:
    """Record a refusal by the row of its subject and minute, counting it in the database.

    For what asks the database anyway; where it must not be asked, a process counts by itself
    (``refusals``). ``subject`` must not be an address alone. Raises ``AuditUnavailable``.
    """
    minute = governed.trace.arrived_ms // (MINUTE_S * 1000)
    own = governed.trace
    try:
        if add(subject, minute, 1):
            return
        if open_minute(governed, verdict, subject, minute) and governed.trace is not own:
            add(subject, minute, 1)
    except StoreError:
        if governed.trace is own:  # nobody's row stands for it yet: the journal takes ours
            conclude(governed, verdict)


def add(subject: str, minute: int, refused: int) -> bool:
    """Add so many answers to a minute; ``False`` while its claim waits in a journal.

    Raises ``StoreError``: nothing was added then.
    """
    parameters = [refused, name_of(subject, minute)]
    return store().reads.row(statement("count_refused"), parameters) is not None


def tell_ended(now_s: float | None = None) -> int:
    """Put on record what minutes came to that no row of their subject tells; return how many.

    Forgets what is long told. Raises ``StoreError`` and ``AuditUnavailable``.
    """
    minute = int((time.time() if now_s is None else now_s) - SETTLED_S) // MINUTE_S
    bounds = {"before": minute, "late": minute - LATE_MINUTES}
    told = 0
    for name, subject, ended, trace_id, refused, about in store().reads.rows(
        statement("untold_minutes"), bounds
    ):
        governed, verdict = _like(about, subject)
        governed.detail.update(_detail(ended, trace_id, refused))
        governed.also.append(_claim(f"told|{name}", subject, ended, governed))
        try:
            conclude(governed, verdict)
        except AuditUnavailable as error:
            if not isinstance(error.__cause__, DuplicateKey):  # told in the very moment
                raise
        else:
            told += 1
    store().reads.rows(statement("prune_refused_minutes"), [minute - KEPT_MINUTES])
    return told


def _join(governed: Governed, verdict: Verdict, subject: str, minute: int, about: About) -> None:
    """Answer under the row of whoever was faster; write our own when it told what we told."""
    try:
        row = store().reads.row(statement("claimed_minute"), [name_of(subject, minute)])
    except StoreError as error:
        raise AuditUnavailable(f"the minute's row could not be found: {error}") from error
    if row is not None:
        governed.trace = _trace_of(row[0], governed.trace)
        return
    governed.also.append(_claim(name_of(subject, minute), subject, minute, governed, about))
    conclude(governed, verdict)


def _about(governed: Governed, verdict: Verdict) -> About:
    """Return what a later row repeats of this one."""
    return {
        "action": governed.action,
        "address": governed.trace.client_address,
        "kind": governed.principal.kind.value,
        "identity": governed.principal.identity,
        "label": governed.principal.label,
        "codes": verdict.codes,
        "detail": dict(governed.detail),
    }


def _like(about_text: str | None, subject: str) -> tuple[Governed, Verdict]:
    """Open the act that tells of a minute; one of an older release is a stranger's."""
    if about_text is None:
        governed = begin()
        governed.action, governed.detail = ACTION, {"together": subject}
        return governed, refuse(ReasonCode.G13_RATE_LIMITED)
    about = orjson.loads(about_text)
    governed = begin(client_address=about["address"])
    governed.action, governed.detail = about["action"], about["detail"]
    governed.principal = Principal(PrincipalKind(about["kind"]), about["identity"], about["label"])
    return governed, refuse(*(ReasonCode.of(code) for code in about["codes"]))


def _untold(subject: str, minute: int) -> tuple[Write, Detail] | None:
    """Return what is to be told of an earlier minute, and the write that it is told."""
    parameters = [minute - 1, minute - LATE_MINUTES, subject]
    found = store().reads.row(statement("untold_minute"), parameters)
    if found is None:
        return None
    name, ended, trace_id, refused = found
    row = {"name": f"told|{name}", "subject": subject, "minute": ended, "trace_id": trace_id}
    return Write(CLAIM, row), _detail(ended, trace_id, refused)


def _claim(
    name: str, subject: str, minute: int, governed: Governed, about: About | None = None
) -> Write:
    row = {
        "name": name,
        "subject": subject,
        "minute": minute,
        "trace_id": governed.trace.trace_id,
        "about": about,
    }
    return Write(CLAIM, row)


def _detail(minute: int, trace_id: str, refused: int) -> Detail:
    return {
        "earlier_row": trace_id,
        "earlier_minute": iso_ms(minute * MINUTE_S * 1000),
        "earlier_refused": refused,
    }


def _trace_of(trace_id: str, like: Trace) -> Trace:
    """Return the trace of a row that another process wrote; its time stands in its id."""
    return replace(like, trace_id=trace_id, arrived_ms=int(trace_id.replace("-", "")[:12], 16))
