"""What the first page shows: each app offers its own panels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the first page, for those who may view ``model``.

    ``read`` returns the context of ``template``; it must cost a few rows of an index, whatever
    the tables hold. Panels stand in the order of ``order``.
    """

    order: int
    model: type[Model]
    template: str
    read: Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel that was read."""

    template: str
    context: dict[str, Any]


_panels: list[Panel] = []


def offer_panel(panel: Panel) -> None:
    """Put ``panel`` on the first page. Raises ``ValueError`` when its place is taken."""
    if any(panel.order == other.order for other in _panels):
        raise ValueError(f"two panels have the place {panel.order}")
    _panels.append(panel)
    _panels.sort(key=lambda each: each.order)


def read_panels(request: HttpRequest) -> list[Shown]:
    """Return the panels that this person may see, read."""
    return [
        Shown(panel.template, panel.read())
        for panel in _panels
        if admin.site.get_model_admin(panel.model).has_view_permission(request)
    ]
