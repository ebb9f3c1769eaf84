"""The one menu: what a person may see, in the order of an operator's day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

#: Sections by app label; apps that are not named here follow in the order of their names.
SECTIONS: dict[str, str | Promise] = {
    "audit": _("Audit"),
    "executor": _("Commands"),
    "access": _("Access"),
    "auth": _("People"),
    "usersessions": _("Signed in"),
}
#: Within a section: what is looked at most stands first.
MODELS = ("CommandRun", "Approval", "Action", "ActionSchedule", "User", "Group")


@dataclass(frozen=True, slots=True)
class Page:
    """A page beside the pages of ``model``, for those who may view it.

    Where a ``permission`` is named (``app.codename``), it alone decides.
    """

    model: type[Model]
    title: str | Promise
    url_name: str
    permission: str = ""


_pages: list[Page] = []


def offer_page(page: Page) -> None:
    """Put ``page`` into the menu, below its model. Raises ``ValueError`` when it is there."""
    if any(page.url_name == other.url_name for other in _pages):
        raise ValueError(f"{page.url_name} is in the menu already")
    _pages.append(page)


@dataclass(frozen=True, slots=True)
class Entry:
    """A link of the menu."""

    title: str
    url: str
    current: bool


@dataclass(frozen=True, slots=True)
class Section:
    """Links that belong together."""

    title: str
    entries: tuple[Entry, ...]


def sections(
    apps: Sequence[dict[str, Any]], path: str, may: Callable[[str], bool]
) -> list[Section]:
    """Return the menu from the admin site's list of apps.

    ``path`` is the page that is shown, ``may`` says whether this person has a permission.
    """
    order = list(SECTIONS)

    def place(app: dict[str, Any]) -> tuple[int, str]:
        label = app["app_label"]
        return (order.index(label) if label in order else len(order), str(app["name"]))

    return [
        Section(str(SECTIONS.get(app["app_label"], app["name"])), _entries(app, path, may))
        for app in sorted(apps, key=place)
    ]


def _entries(app: dict[str, Any], path: str, may: Callable[[str], bool]) -> tuple[Entry, ...]:
    def place(model: dict[str, Any]) -> tuple[int, str]:
        name = model["object_name"]
        return (MODELS.index(name) if name in MODELS else len(MODELS), str(model["name"]))

    entries: list[Entry] = []
    for model in sorted(app["models"], key=place):
        if not model["admin_url"]:
            continue
        beside = _beside(model, path, may)
        current = path.startswith(model["admin_url"]) and not any(each.current for each in beside)
        entries += [Entry(str(capfirst(model["name"])), model["admin_url"], current), *beside]
    return tuple(entries)


def _beside(model: dict[str, Any], path: str, may: Callable[[str], bool]) -> list[Entry]:
    """Return the pages beside a model's own that this person may see."""
    views = bool(model["perms"].get("view"))
    return [
        Entry(str(page.title), url, path == url)
        for page in _pages
        if page.model is model["model"] and (may(page.permission) if page.permission else views)
        for url in [reverse(page.url_name)]
    ]
