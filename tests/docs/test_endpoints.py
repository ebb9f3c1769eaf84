"""``docs/ENDPOINT_ADAPTER_DIAGRAM.md`` against Django's URL configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string
from drf_spectacular.generators import SchemaGenerator

from techno.web.middleware import is_governed
from tests.docs.settings_in_code import ROOT

PAGE = (ROOT / "docs" / "ENDPOINT_ADAPTER_DIAGRAM.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| ([A-Z, ]+) \| `(/\S*)` \| `([\w.]+)` \| (.+) \|$", re.MULTILINE)


class Route(NamedTuple):
    """A row of the page, or a route of the service."""

    methods: str
    address: str
    adapter: str


def documented() -> list[tuple[Route, str]]:
    """Return the rows of the page with their engines."""
    rows = _ROW.findall(PAGE)
    return [
        (Route(methods, address, adapter), engines) for methods, address, adapter, engines in rows
    ]


def served() -> set[Route]:
    """Return every route of the URL configuration that is an endpoint."""
    found = set()
    for address, pattern in _walk("/", get_resolver().url_patterns):
        if address == "/" or address.startswith(("/admin/", "/account/")):
            continue
        view: Any = getattr(pattern.callback, "view_class", pattern.callback)
        found.add(Route(_methods(view), address, f"{view.__module__}.{view.__qualname__}"))
    return found


def _walk(prefix: str, patterns: list[Any]) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(address, pattern.url_patterns)
        else:
            yield address, pattern


def _methods(view: Any) -> str:
    """Return what a class defines; a plain function here is a page to be read."""
    names = [name for name in ("get", "post", "put", "patch", "delete") if hasattr(view, name)]
    return ", ".join(name.upper() for name in names) or "GET"


def test_the_page_lists_every_route_and_nothing_else() -> None:
    assert {route for route, _ in documented()} == served()
    assert len(documented()) == len(served())


@pytest.mark.parametrize(("route", "engines"), documented(), ids=lambda value: str(value)[:60])
def test_each_engine_exists(route: Route, engines: str) -> None:
    if engines == "—":
        return
    names = re.findall(r"`([\w.]+)`", engines)
    assert names
    for name in names:
        assert callable(import_string(name))


def test_what_the_page_calls_governed_is_governed() -> None:
    beside = PAGE.split("## Beside the gate\n", 1)[1]
    for route, _ in documented():
        example = route.address.replace("<uuid:trace_id>", "0190c0de-0000-7000-8000-000000000000")
        assert is_governed(example) is not (f"`{route.address}`" in beside), route.address


def test_the_older_names_and_only_they_are_marked_deprecated() -> None:
    described = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    marked = {
        address
        for address, methods in described.items()
        if any(method.get("deprecated") for method in methods.values())
    }
    older = PAGE.split("## Older names\n", 1)[1].split("\n## ", 1)[0]
    assert marked == {address for _, address, _, _ in _ROW.findall(older)} != set()
