"""Writing the registry as a file that loads into the same registry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from executor.action_files import NAMES, own_paths
from executor.definitions import definition_of
from executor.models import Action

_FILE_NAMES = {field: name for name, field in NAMES.items()}
_TABLES = ("parameters", "isolation")


def exported(actions: Iterable[Action]) -> str:
    """Return ``actions`` as TOML: what is as usual is left out, our own paths are words again."""
    return "\n".join(_table(action) for action in actions)


def _table(action: Action) -> str:
    usual = definition_of(Action())
    definition = definition_of(action)
    plain = {
        name: value
        for name, value in definition.items()
        if name not in _TABLES and (value != usual[name] or name == "argv")
    }
    plain["argv"] = [_unresolved(item) for item in action.argv]
    if "environment" in plain:
        plain["environment"] = {
            name: _unresolved(value) for name, value in action.environment.items()
        }
    if not action.enabled:
        plain["enabled"] = False
    lines = [f"[action.{action.name}]"]
    lines += [f"{_FILE_NAMES.get(name, name)} = {_value(value)}" for name, value in plain.items()]
    lines += _rows(f"action.{action.name}.isolation", action.isolation)
    for name, declaration in action.parameters.items():
        lines += _rows(f"action.{action.name}.parameters.{name}", declaration)
    return "\n".join(lines) + "\n"


def _rows(table: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return []
    return [f"[{table}]", *(f"{name} = {_value(value)}" for name, value in values.items())]


def _value(value: Any) -> str:
    """Return a value in TOML; the few types that definitions have."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        inner = (f"{_value(name)} = {_value(each)}" for name, each in value.items())
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _unresolved(text: str) -> str:
    for word, path in own_paths().items():
        text = text.replace(path, word)
    return text
