"""Actions in files: read, checked as a whole, compared with the registry, and written.

A file is refused with everything that is wrong in it, each with its line, or taken whole.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from executor.action_changes import difference
from executor.definitions import FIELDS, with_program_found
from executor.models import Action
from executor.toml_lines import Lines
from techno.acts import Detail

SHIPPED_DIRECTORY = Path(__file__).resolve().parent / "actions"
#: What is called otherwise in a file.
NAMES = {"async": "is_async"}
_PLACE = re.compile(r"([a-z_]+(?:\.\w+)*)")


class BadActionFile(Exception):
    """A file of actions cannot be loaded; nothing of it was. One line for each fault."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What loading would do to one action: ``created``, ``changed`` or ``unchanged``, and how."""

    action: Action
    kind: str
    changes: Detail


def read_actions(path: Path) -> list[Action]:
    """Return a file's actions, cleaned and not saved. Raises :class:`BadActionFile`."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadActionFile(_with_line(path.name, error)) from error
    lines = Lines(text)
    actions: list[Action] = []
    faults: list[str] = []
    for name, table, fault in _tables(document):
        if fault:
            faults.append(f"{path.name}:{lines.of(*name.split('.'))}: {fault}")
            continue
        made = _action(path.name, name, table)
        if isinstance(made, Action):
            actions.append(made)
        else:
            faults += [
                f"{path.name}:{lines.of('action', name, *place)}: action.{name}: {told}"
                for place, told in made
            ]
    if faults:
        raise BadActionFile("\n".join(faults))
    return actions


def plan(actions: Iterable[Action]) -> list[Planned]:
    """Return what loading ``actions`` would do. Whether one is enabled stays as people set it."""
    found = []
    for action in actions:
        old = Action.objects.filter(name=action.name).first()
        if old is not None:
            action.enabled = old.enabled
        changes = difference(old, action)
        kind = "created" if old is None else "changed" if changes else "unchanged"
        found.append(Planned(action, kind, changes))
    return found


def files_in(given: Iterable[Path]) -> list[Path]:
    """Return the files that are named, those of a directory in order; the shipped ones for none."""
    found: list[Path] = []
    for path in given or [SHIPPED_DIRECTORY]:
        found += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    return found


def _with_line(name: str, error: Exception) -> str:
    """Put the line of a syntax error where those of all other complaints stand."""
    found = re.fullmatch(r"(.*) \(at line ([0-9]+), column [0-9]+\)", str(error), re.DOTALL)
    return f"{name}:{found[2]}: {found[1]}" if found else f"{name}: {error}"


def _tables(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """The actions by name; what is none with what is wrong about it."""
    only = "only tables named [action.NAME] may stand here"
    tables = document.get("action", {})
    for name in document:
        if name != "action" or not isinstance(tables, dict):
            yield name, {}, f"{name}: {only}."
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict):
            yield name, table, ""
        else:
            yield f"action.{name}", {}, f"action.{name} must be a table."


def _action(source: str, name: str, table: dict[str, Any]) -> Action | list[tuple[list[str], str]]:
    """Return the action that a table describes, or its faults, each with its place in the table."""
    values = {NAMES.get(word, word): value for word, value in table.items()}
    unknown = sorted(set(values).difference(FIELDS, ["enabled"]))
    if unknown:
        return [([word], f"{word} is not a field.") for word in unknown]
    if isinstance(values.get("argv"), list):
        argv = [_resolved(item) for item in values["argv"]]
        values["argv"] = with_program_found(argv)
    if isinstance(values.get("environment"), dict):
        values["environment"] = {
            key: _resolved(value) for key, value in values["environment"].items()
        }
    action = Action(name=name, source=source, **values)
    try:
        action.full_clean(validate_unique=False)
    except ValidationError as error:
        return [
            (_place(field, complaint), f"{field}: {complaint}")
            for field, complaints in error.message_dict.items()
            for complaint in complaints
        ]
    return action


def _place(field: str, complaint: str) -> list[str]:
    """Where a complaint points: many begin with the very place, ``parameters.name.pattern``."""
    found = _PLACE.match(complaint)
    return found[1].split(".") if found and found[1].startswith(field) else [field]


def own_paths() -> dict[str, str]:
    """Return this installation's own paths, by the words that stand for them in files."""
    return {
        "{python}": sys.executable,
        "{project}": str(settings.BASE_DIR),
        "{var}": str(settings.VAR_DIR),
    }


def _resolved(item: Any) -> Any:
    if isinstance(item, str):
        for word, path in own_paths().items():
            item = item.replace(word, path)
    return item
