"""Which actions there are, looked up for each run. Changed in ``executor.action_changes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from techno.database.current import store

#: The row's state, then :class:`RegisteredAction`'s fields in their order, as one text: it is the
#: same from run to run, and its parts are taken apart when it has changed.
_FIND_SQL = """
SELECT json_build_array(xmin::text, name, argv, timeout_s, output_limit_bytes, environment,
       working_directory, enabled, version, parameters, isolation, max_running, max_queued,
       when_full, is_async, queue, approvals_needed, approver_groups, approval_ttl_s,
       reason_pattern)::text
FROM executor_actions WHERE name = %s
"""
_ACTIONS_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class RegisteredAction:
    """An action as it stands at the moment of a run. It may be shared between runs: only read.

    ``max_running`` and ``max_queued`` of 0 set no limit of their own; an empty ``queue`` is the
    host that was asked.
    """

    name: str
    argv: tuple[str, ...]
    timeout_s: float
    output_limit_bytes: int
    environment: Mapping[str, str]
    working_directory: str
    enabled: bool
    version: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    isolation: Mapping[str, Any] = field(default_factory=dict)
    max_running: int = 0
    max_queued: int = 0
    when_full: str = "wait"
    is_async: bool = False
    queue: str = ""
    approvals_needed: int = 0
    approver_groups: Sequence[str] = ()
    approval_ttl_s: int = 3600
    reason_pattern: str = ""


@dataclass(frozen=True, slots=True)
class SeenAction:
    """An action as it was seen. ``state`` names the state of its row: each change gives another."""

    action: RegisteredAction
    state: str


#: The actions as they were seen last.
_remembered: dict[str, SeenAction] = {}


def find_action(name: str) -> RegisteredAction | None:
    """Return the action called ``name`` as it is now. Raises ``StoreUnavailable``."""
    seen = see_action(name)
    return None if seen is None else seen.action


def see_action(name: str) -> SeenAction | None:
    """Return the action called ``name`` as it is now, and remember it.

    Raises ``StoreUnavailable``.
    """
    row = store().shared_reads.row(_FIND_SQL, name)
    if row is None:
        _remembered.pop(name, None)
        return None
    seen = _remembered[name] = _registered(row[0])
    return seen


def remembered_action(name: str) -> SeenAction | None:
    """Return the action as this process saw it last, which may be long ago."""
    return _remembered.get(name)


@lru_cache(_ACTIONS_REMEMBERED)
def _registered(text: str) -> SeenAction:
    state, name, argv, timeout_s, *rest = orjson.loads(text)
    return SeenAction(RegisteredAction(name, tuple(argv), float(timeout_s), *rest), state)
