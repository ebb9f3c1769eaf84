"""Which actions there are: looked up for each run, loaded from versioned files."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from executor.models import Action
from techno.database.current import store

SHIPPED_DIRECTORY = Path(__file__).resolve().parent / "actions"

#: In the order of :class:`RegisteredAction`'s fields, as one text: it is the same from run to run,
#: and its parts are taken apart when it has changed.
_FIND_SQL = """
SELECT json_build_array(name, argv, timeout_s, output_limit_bytes, environment,
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


class BadActionFile(Exception):
    """A file of actions cannot be loaded; nothing of it was. The text names file and rule."""


def find_action(name: str) -> RegisteredAction | None:
    """Return the action called ``name`` as it is now. Raises ``StoreUnavailable``."""
    row = store().shared_reads.row(_FIND_SQL, name)
    return None if row is None else _registered(row[0])


@lru_cache(_ACTIONS_REMEMBERED)
def _registered(text: str) -> RegisteredAction:
    name, argv, timeout_s, *rest = orjson.loads(text)
    return RegisteredAction(name, tuple(argv), float(timeout_s), *rest)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a file changed, by action name."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def load_actions(path: Path) -> Loaded:
    """Bring the registry in line with one TOML file, all of it or nothing.

    Loading is idempotent. What people may decide for themselves, whether an action is enabled,
    is left as it is once the action exists. Raises :class:`BadActionFile`.
    """
    drafts = [_draft(path, name, table) for name, table in _tables(path)]
    created: list[str] = []
    changed: list[str] = []
    unchanged: list[str] = []
    with transaction.atomic():
        standing = {action.name: action for action in Action.objects.select_for_update()}
        for draft in drafts:
            old = standing.get(draft.name)
            if old is None:
                draft.save(force_insert=True)
                created.append(draft.name)
            elif _differs(old, draft):
                draft.pk, draft.enabled, draft.created_at = old.pk, old.enabled, old.created_at
                draft.version = old.version
                draft.save(force_update=True)
                changed.append(draft.name)
            else:
                unchanged.append(draft.name)
    return Loaded(tuple(created), tuple(changed), tuple(unchanged))


_FILE_FIELDS = (
    "description",
    "argv",
    "timeout_s",
    "output_limit_bytes",
    "environment",
    "working_directory",
    "parameters",
    "isolation",
    "max_running",
    "max_queued",
    "when_full",
    "is_async",
    "queue",
    "approvals_needed",
    "approver_groups",
    "approval_ttl_s",
    "reason_pattern",
)


def _differs(old: Action, new: Action) -> bool:
    return any(getattr(old, name) != getattr(new, name) for name in (*_FILE_FIELDS, "source"))


def _tables(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the file's actions by name. Raises :class:`BadActionFile`."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadActionFile(f"{path.name}: {error}") from error
    tables = document.pop("action", {})
    if document or not isinstance(tables, dict):
        raise BadActionFile(f"{path.name}: only tables named [action.NAME] may stand in it.")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BadActionFile(f"{path.name}: action.{name} must be a table.")
        yield name, table


def _draft(path: Path, name: str, table: dict[str, Any]) -> Action:
    """Return the action that a table describes, checked. Raises :class:`BadActionFile`."""
    unknown = set(table).difference(_FILE_FIELDS, ["enabled"])
    if unknown:
        raise BadActionFile(f"{path.name}: action.{name}: {sorted(unknown)[0]} is not a field.")
    values = dict(table)
    if isinstance(values.get("argv"), list):
        values["argv"] = [_resolved(item) for item in values["argv"]]
    if isinstance(values.get("environment"), dict):
        values["environment"] = {
            key: _resolved(value) for key, value in values["environment"].items()
        }
    action = Action(name=name, source=path.name, **values)
    try:
        action.full_clean(validate_unique=False)
    except ValidationError as error:
        field, complaints = next(iter(error.message_dict.items()))
        raise BadActionFile(f"{path.name}: action.{name}: {field}: {complaints[0]}") from error
    return action


def _resolved(item: Any) -> Any:
    """Put this installation's own paths in: the interpreter, and where the project stands."""
    if not isinstance(item, str):
        return item
    return (
        item.replace("{python}", sys.executable)
        .replace("{project}", str(settings.BASE_DIR))
        .replace("{var}", str(settings.VAR_DIR))
    )
