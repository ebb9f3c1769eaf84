"""Every change that somebody makes on a model's pages leaves an audit row, before it holds.

Django tells of each change at one place, inside the change's transaction, to write its own
history. That place is used: the row is durable before the transaction commits. Models whose
services record by themselves say so, and are left alone.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from techno.acts import Detail, differences
from techno.gate import conclude
from techno.governance.verdict import APPROVED
from techno.web.person import act_of_person

_BEFORE = "told_before_change"


class RecordsChanges(admin.ModelAdmin):  # type: ignore[type-arg]
    """Puts additions, changes and deletions on record, with what was before and after.

    ``noun`` names the thing in actions (``user.change``); ``secret_fields`` are told as changed
    and never with their values; ``records_itself`` is for models whose services have their rows.
    """

    noun = ""
    secret_fields: tuple[str, ...] = ("password",)
    records_itself = False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, remembering what was there before."""
        if change:
            kept = self.model._default_manager.get(pk=obj.pk)
            setattr(request, _BEFORE, self._told(kept))
        super().save_model(request, obj, form, change)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record an addition."""
        self._record(request, "add", obj, {}, self._told(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Record a change; one of which nothing else is known by Django's own words for it."""
        before = request.__dict__.pop(_BEFORE, None)
        if before is None:
            self._record(request, "change", obj, {}, {}, what=str(message))
        else:
            self._record(request, "change", obj, before, self._told(obj))
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Record deletions."""
        for obj in queryset:
            self._record(request, "delete", obj, self._told(obj), {})
        return super().log_deletions(request, queryset)

    def _record(
        self,
        request: HttpRequest,
        verb: str,
        obj: Model,
        before: dict[str, Any],
        after: dict[str, Any],
        what: str = "",
    ) -> None:
        if self.records_itself:
            return
        governed = act_of_person(request)
        governed.action = f"{self.noun or self.opts.model_name}.{verb}"
        governed.detail.update({"of": str(obj), **_changes(before, after, self.secret_fields)})
        if what:
            governed.detail["what"] = what
        conclude(governed, APPROVED)

    def _told(self, obj: Model) -> dict[str, Any]:
        """Return an object's fields; those that hold many things as sets of their names."""
        meta = obj._meta
        plain = {field.name: field.value_from_object(obj) for field in meta.concrete_fields}
        many = {
            field.name: {str(one) for one in getattr(obj, field.name).all()}
            for field in meta.many_to_many
        }
        return {**plain, **many}


def _changes(before: dict[str, Any], after: dict[str, Any], secret: tuple[str, ...]) -> Detail:
    """Return what differs, as it may stand in a row."""
    found: Detail = {}
    plain: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if name in secret:
            if old != new:
                found[f"changed.{name}"] = True
        elif isinstance(new, set) or isinstance(old, set):
            found.update(_moved(name, old or set(), new or set()))
        else:
            plain[0][name], plain[1][name] = old, new
    return found | differences(*plain)


def _moved(name: str, old: set[str], new: set[str]) -> Detail:
    moved = {f"added.{name}": new - old, f"removed.{name}": old - new}
    return {key: ", ".join(sorted(values)) for key, values in moved.items() if values}
