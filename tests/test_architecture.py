"""The house rules that a reader would otherwise have to keep in mind, read from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.isolation import REPOSITORY

APPS = ("techno", "audit", "executor", "diagnostics")
LINES_MOST = 400
#: Modules that may be longer, with the reason.
LONGER = {"audit.verify": "an auditor carries this one file, and reads it first"}
#: Modules that adapt a framework: they may see everything below them, and ``techno.web``.
ADAPTERS = re.compile(
    r"\.(views|\w+_views|(?:\w+_)?serializers|admin|urls|decorators|management|apps|adapters)"
    r"(\.|$)"
)
#: They see every app, each with its reason.
SEES_ALL = {
    "techno.urls": "every address stands there",
    "techno.settings": "it names the apps",
    "techno.wsgi": "it is where the service begins",
}
#: What each pure module may import beside the standard library and ``techno.governance``.
PURE = {
    "techno.governance": set(),
    "techno.access.key_format": set(),
    "techno.web.client_address": set(),
    "techno.launch": set(),
    "techno.processes": set(),
    "executor.argv": set(),
    "executor.cron": {"croniter"},
    "executor.isolation": {"executor"},
    "executor.toml_lines": set(),
    "executor.masking": set(),
    "executor.patterns": set(),
    "executor.declarations": {"executor"},
    "executor.parameters": {"executor", "jsonschema"},
    "executor.engine": {"executor"},
    "executor.control_group": set(),
    "executor.spawn": {"executor"},
    "executor.handover": set(),
    "executor.output": {"executor"},
    "executor.process_tree": {"executor"},
    "executor.host_report": set(),
    "audit.merkle": set(),
    "audit.canonical": {"cryptography", "audit"},
    "audit.checkpoint": {"cryptography", "audit"},
    "audit.note": {"cryptography", "audit"},
    "audit.tiles": {"cryptography", "audit"},
    "audit.verify": {"cryptography", "audit"},
}
LAYERS_BELOW_HTTP = ("techno.governance", "techno.database", "techno.gate", "techno.embedded")


def modules() -> dict[str, Path]:
    """All modules of the apps by dotted name; migrations are history, not architecture."""
    found = {}
    for app in APPS:
        for path in (REPOSITORY / app).rglob("*.py"):
            if "migrations" not in path.parts:
                parts = path.relative_to(REPOSITORY).with_suffix("").parts
                found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def imports(name: str, *, at_load: bool = False) -> set[str]:
    """The modules that ``name`` imports: ours in full, others by their first word.

    ``at_load`` leaves out what only a function or a type checker imports.
    """
    found = set()
    for node in _walk(ast.parse(MODULES[name].read_text(encoding="utf-8")), at_load):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            targets = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in targets:
            ours = target if target in MODULES else target.rpartition(".")[0]
            found.add(ours if ours in MODULES else target.partition(".")[0])
    return found


def _walk(node: ast.AST, at_load: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        )
        if not (at_load and lazy):
            yield child
            yield from _walk(child, at_load)


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def forbidden(names: Iterator[str] | list[str], *packages: str) -> list[str]:
    """``importer -> imported`` for every import of one of ``packages``."""
    return [f"{name} -> {it}" for name in names for it in imports(name) if within(it, *packages)]


def test_apps_do_not_know_each_other() -> None:
    named = {app: [name for name in MODULES if within(name, app)] for app in APPS}
    assert forbidden(named["executor"], "diagnostics") == []
    assert forbidden(named["diagnostics"], "executor") == []
    assert forbidden(named["audit"], "executor", "diagnostics") == []


def test_the_base_knows_no_app_above_it() -> None:
    above = ("executor", "diagnostics", "audit.views", "executor.views")
    names = [
        name
        for name in MODULES
        if within(name, "techno")
        and name not in SEES_ALL
        and not ADAPTERS.search(name)
        and not within(name, "techno.portal")
    ]
    assert forbidden(names, *above) == []
    assert (
        forbidden([name for name in names if within(name, *LAYERS_BELOW_HTTP)], "techno.web") == []
    )


def test_only_adapters_know_http() -> None:
    services = [
        name
        for name in MODULES
        if not within(name, "techno.web", "techno.portal", *SEES_ALL) and not ADAPTERS.search(name)
    ]
    assert forbidden(services, "rest_framework", "drf_spectacular", "techno.web") == []


@pytest.mark.parametrize("pure", PURE)
def test_pure_cores_import_nothing_of_a_framework(pure: str) -> None:
    allowed = {*sys.stdlib_module_names, *PURE[pure]}
    named = [name for name in MODULES if within(name, pure)]
    assert named
    bad = {
        f"{name} -> {it}"
        for name in named
        for it in imports(name)
        if it.partition(".")[0] not in allowed and not within(it, "techno.governance")
    }
    assert bad == set()


def test_no_import_cycle() -> None:
    waiting = {name: imports(name, at_load=True) & MODULES.keys() - {name} for name in MODULES}
    while ready := [name for name, needs in waiting.items() if not needs & waiting.keys()]:
        for name in ready:
            del waiting[name]
    assert waiting == {}


def test_modules_stay_short() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert {name for name, length in lengths.items() if length > LINES_MOST} == set(LONGER)


def test_every_sql_file_is_used_exactly_once() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for app in APPS
        for path in (REPOSITORY / app).rglob("*.py")
    ]
    used = {
        path.relative_to(REPOSITORY): sum(
            len(re.findall(rf"""statement\(\s*["']{path.stem}["']""", source)) for source in sources
        )
        for app in APPS
        for path in (REPOSITORY / app).rglob("*.sql")
    }
    assert used
    assert {path: count for path, count in used.items() if count != 1} == {}


def test_the_repository_names_no_place_outside_of_itself() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    # Put together here, so that this file does not hold them.
    places = re.compile("|".join(["\\.\\./" + "shared", "/" + "work/", "/root/" + "[a-z]+"]))
    bad = []
    for name in filter(None, listed.stdout.split("\0")):
        path = REPOSITORY / name
        if path.is_file() and b"\0" not in (raw := path.read_bytes()):
            bad += [f"{name}: {hit}" for hit in places.findall(raw.decode(errors="replace"))]
    assert bad == []
