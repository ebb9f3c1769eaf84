"""How pages refer to what other apps keep, without the apps knowing each other.

An app's admin module offers a kind of thing; any page may then link to one of them, or suggest
their names while somebody fills in a filter.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

SUGGESTIONS_MOST = 200


class Kind(enum.Enum):
    """What pages refer to."""

    ACTION = "action"
    KEY = "key"
    RUN = "run"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A value for a field, and what people call it."""

    value: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class _Offer:
    model: type[Model]
    by: str
    named: str


_offers: dict[Kind, _Offer] = {}


def offer(kind: Kind, model: type[Model], *, by: str, named: str = "") -> None:
    """Let things of ``kind`` be found: rows of ``model`` whose field ``by`` is what traces hold.

    ``named`` is the field with the name that people know. Raises ``ValueError`` when somebody
    offers this kind already.
    """
    if kind in _offers:
        raise ValueError(f"{kind} is offered by {_offers[kind].model.__name__} already")
    _offers[kind] = _Offer(model, by, named or by)


def link(request: HttpRequest, kind: Kind, identity: Any) -> str:
    """Return the address of the page of ``identity``.

    Empty when there is no such thing any more, or when this person may not see it.
    """
    found = _offers.get(kind)
    if found is None or not identity:
        return ""
    if not admin.site.get_model_admin(found.model).has_view_permission(request):
        return ""
    rows = found.model._default_manager.filter(**{found.by: identity})
    keys = list(rows.order_by().values_list("pk", flat=True)[:1])
    meta = found.model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=keys) if keys else ""


def suggestions(kind: Kind, *, most: int = SUGGESTIONS_MOST) -> list[Suggestion]:
    """Return the first ``most`` names of this kind, in order. They stand in traces anyway."""
    found = _offers.get(kind)
    if found is None:
        return []
    rows = found.model._default_manager.order_by(found.named)
    return [Suggestion(*row) for row in rows.values_list(found.by, found.named)[:most]]
