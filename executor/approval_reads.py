"""Approvals as they are read: one with all that decides about it, and pages of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing

from executor.approval_models import ApprovalState
from executor.sql import statement
from techno.database.current import store
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.trace import iso


class BadCursor(ValueError):
    """The cursor was not made by this service."""


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """An approval as it stands, whatever its state; ``decisions`` are in their order."""

    execution_id: str
    action: str
    version: int | None
    digest: str
    reason: str
    needed: int
    given: int
    groups: Sequence[str]
    state: str
    requested_at: datetime
    expires_at: datetime
    is_past: bool
    run_state: str | None
    decisions: Sequence[dict[str, Any]]
    barred: frozenset[str]
    requester: Principal

    @property
    def is_open(self) -> bool:
        """Whether people may still decide."""
        return self.state == ApprovalState.WAITING and self.run_state == "waiting"

    def facts(self) -> dict[str, Any]:
        """Return what callers may know of it."""
        return {
            "state": self.state,
            "needed": self.needed,
            "given": self.given,
            "groups": list(self.groups),
            "reason": self.reason,
            "expires_at": iso(self.expires_at),
            "decisions": list(self.decisions),
        }


def find_approval(execution_id: str) -> PendingApproval | None:
    """Return the approval of a run, ``None`` for one that needed none.

    Raises ``StoreUnavailable``.
    """
    row = store().reads.row(statement("approval"), [execution_id])
    if row is None:
        return None
    *plain, barred, kind, identity, label = row
    plain += [frozenset(barred), Principal(PrincipalKind(kind), identity, label)]
    return PendingApproval(execution_id, *plain)


@dataclass(frozen=True, slots=True)
class ApprovalQuery:
    """Which approvals. ``None`` restricts nothing; ``requester`` is a caller's identity."""

    requester: str | None = None
    state: str | None = None
    action: str | None = None
    cursor: str = ""
    limit: int = 50


def decode_cursor(cursor: str) -> tuple[str, str]:
    """Return the position that ``cursor`` stands for. Raises :class:`BadCursor`."""
    try:
        encoded = _signer().unsign(cursor)
        moment, identity = signing.b64_decode(encoded.encode("ascii")).decode().split("~", 1)
        datetime.fromisoformat(moment)
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor("cursor must be one that this service returned") from error
    return moment, identity


def _signer() -> signing.Signer:
    return signing.Signer(salt="executor.approvals", sep=".")


def fetch_approvals(query: ApprovalQuery) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page, newest first, and the cursor of the older ones.

    Raises :class:`BadCursor` and ``StoreUnavailable``.
    """
    at, identity = decode_cursor(query.cursor) if query.cursor else (None, None)
    rows = store().list_reads.rows(
        statement("approvals_page"),
        {
            "requester": query.requester,
            "state": query.state,
            "action": query.action,
            "at": at,
            "identity": identity,
            "limit": query.limit + 1,
        },
    )
    entries = [_entry(row) for row in rows[: query.limit]]
    if len(rows) <= query.limit:
        return entries, None
    last = rows[query.limit - 1]
    position = f"{last[13].isoformat()}~{last[0]}".encode()
    return entries, _signer().sign(signing.b64_encode(position).decode())


_NAMES = (
    *("execution_id", "trace_id", "action", "version", "argv", "parameters", "requester_kind"),
    *("requester", "reason", "needed", "given", "groups", "state"),
)
_MOMENTS = ("requested_at", "expires_at", "settled_at")


def _entry(row: tuple[Any, ...]) -> dict[str, Any]:
    texts = dict(zip(_NAMES, row[: len(_NAMES)], strict=True))
    moments = zip(_MOMENTS, row[len(_NAMES) :], strict=True)
    return texts | {name: iso(moment) if moment else None for name, moment in moments}
