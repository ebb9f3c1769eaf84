"""What the code reads from the environment, found by reading the code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("manage.py", "techno", "audit", "executor", "diagnostics")

#: Set by the service for its own processes, or by other programs: nobody's setting.
INTERNAL = {
    "DJANGO_SETTINGS_MODULE",
    "PROMETHEUS_MULTIPROC_DIR",
    "TECHNO_DATABASE_ROLE",
}


@dataclass(frozen=True)
class Setting:
    """One variable as the code reads it. ``default`` and the bounds are texts of literals."""

    name: str
    default: str = ""
    least: str = ""
    most: str = ""


@cache
def readers() -> dict[str, list[str]]:
    """Return the functions of ``techno.env`` that read the variable they are given.

    With each come the names of its parameters, to tell what a positional argument is.
    """
    tree = ast.parse((ROOT / "techno" / "env.py").read_text(encoding="utf-8"))
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
            if names[:1] == ["name"]:
                found[node.name] = names
    return found


@cache
def settings_in_code() -> dict[str, Setting]:
    """Return every variable that is read anywhere, by name, but for ``INTERNAL``."""
    found: dict[str, Setting] = {}
    for path in _files():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for setting in _settings(tree):
            known = found.get(setting.name)
            if known is None or setting.default or setting.least:
                found[setting.name] = setting
    return {name: setting for name, setting in found.items() if name not in INTERNAL}


def _files() -> Iterator[Path]:
    for source in SOURCES:
        path = ROOT / source
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def _settings(tree: ast.Module) -> Iterator[Setting]:
    names = readers()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last_name(node.func) in names:
            if _text(node.args[:1]):
                yield _read(node, names[_last_name(node.func)])
        elif name := _asked_of_os(node):
            yield Setting(name)


def _asked_of_os(node: ast.AST) -> str:
    """Return the variable that a node reads from ``os`` itself, ``""`` when it reads none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        function = ast.unparse(node.func)
        if function == "os.getenv" or _is_os_environ(node.func.value):
            return _text(node.args[:1])
    if isinstance(node, ast.Subscript) and _is_os_environ(node.value):
        return _text([node.slice])
    if isinstance(node, ast.Compare) and _is_os_environ(node.comparators[0]):
        return _text([node.left])
    return ""


def _read(call: ast.Call, parameters: list[str]) -> Setting:
    given = dict(zip(parameters, call.args, strict=False))
    given.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg})
    values = {name: _literal(given[name]) for name in ("default", "least", "most") if name in given}
    return Setting(_text(call.args[:1]), **values)


def _literal(node: ast.expr) -> str:
    value = ast.literal_eval(node)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(nodes: list[ast.expr]) -> str:
    node = nodes[0] if nodes else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_os_environ(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ"
