"""Changes to what we keep, by people or commands: on record before they hold.

A change without its row must not exist, so the row is committed first, on the recorder's own
connection, and the change's transaction after it. Should that last commit fail, the log names a
change that did not come to be; that is told by a second row, and is the better of the two errors.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import structlog
from django.db import DatabaseError, transaction

from audit.recorder import AuditUnavailable
from techno.gate import Governed, begin, conclude
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.text import caller_text
from techno.governance.verdict import APPROVED, refuse

log = structlog.get_logger(__name__)
#: The method of acts that come from a terminal.
COMMAND = "COMMAND"
Detail = dict[str, str | int | bool | None]
#: Longer values are cut and digested: a row says what changed, it is no copy of it.
VALUE_LIMIT = 400
#: Acts whose rows wait until all changes that hold together with theirs are made.
_together: ContextVar[list[Governed] | None] = ContextVar("together", default=None)


def person(username: str, label: str = "") -> Principal:
    """Return a signed-in person as a principal; ``label`` is what people call them."""
    return Principal(PrincipalKind.PERSON, username, label or username)


def account() -> str:
    """Return the name of the account that runs this process."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def governed_command(action: str) -> Governed:
    """Open a governed act of the terminal's account, named ``action`` (``audit.export``)."""
    governed = begin(method=COMMAND, path=f"manage.py {action.replace('.', ' ', 1)}")
    governed.principal = Principal(PrincipalKind.SYSTEM, "terminal", account())
    governed.action = action
    return governed


@contextmanager
def recorded_change(
    governed: Governed, action: str, detail: Detail | None = None
) -> Iterator[Detail]:
    """Run the block in a transaction that commits once the act's audit row is durable.

    ``action`` names the act (``key.revoke``, ``action.change``); the block may add to the detail
    that it is given, texts, whole numbers, booleans and nulls, never a secret. An exception of
    the block passes through and leaves neither change nor row. Raises
    ``audit.recorder.AuditUnavailable`` when the row cannot be written; nothing changed then.
    """
    governed.action = action
    governed.detail.update(detail or {})
    waiting = _together.get()
    if waiting is not None:
        with transaction.atomic():
            yield governed.detail
        waiting.append(governed)
        return
    recorded = False
    try:
        with transaction.atomic():
            yield governed.detail
            conclude(governed, APPROVED)
            recorded = True
    except DatabaseError:
        if recorded:
            _tell_that_it_failed(governed)
        raise


@contextmanager
def recorded_together() -> Iterator[None]:
    """Make all changes of the block, each a :func:`recorded_change`, in one transaction, or none.

    Their rows, one for each, are written after the last change and before the commit. An
    exception of the block passes through and leaves neither changes nor rows. Raises
    ``audit.recorder.AuditUnavailable`` when a row cannot be written; nothing changed then.
    """
    waiting: list[Governed] = []
    recorded: list[Governed] = []
    try:
        with transaction.atomic():
            token = _together.set(waiting)
            try:
                yield
            finally:
                _together.reset(token)
            for governed in waiting:
                conclude(governed, APPROVED)
                recorded.append(governed)
    except (DatabaseError, AuditUnavailable):
        for governed in recorded:
            try:
                _tell_that_it_failed(governed)
            except AuditUnavailable as error:
                trace_id = governed.trace.trace_id
                log.critical("a row tells of a change that is not", of=trace_id, cause=str(error))
        raise


def _tell_that_it_failed(governed: Governed) -> None:
    again = begin(
        method=governed.trace.method,
        path=governed.trace.path,
        client_address=governed.trace.client_address,
        user_agent=governed.trace.user_agent,
        session_id=governed.session_id,
    )
    again.principal, again.action = governed.principal, governed.action
    again.detail["not_committed"] = governed.trace.trace_id
    conclude(again, refuse(ReasonCode.E5_INTERNAL_ERROR))


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Detail:
    """Return what differs, as ``before.<field>`` and ``after.<field>``, fit for a row's detail."""
    found: Detail = {}
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            found[f"before.{name}"], found[f"after.{name}"] = _told(old), _told(new)
    return found


def _told(value: Any) -> str | int | bool | None:
    if value is None or isinstance(value, bool | int):
        return value
    return caller_text(str(value), VALUE_LIMIT)
