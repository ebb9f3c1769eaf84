"""Changing the registry: the one way, for files, commands and the portal.

A change of what an action does makes a new version, which runs and approvals name. Each change
leaves an audit row with what was before and after; one that changes nothing leaves nothing.
"""

from __future__ import annotations

from typing import Any

from executor.definitions import definition_of, digest_of
from executor.models import Action, ActionVersion
from techno.acts import Detail, differences, recorded_change
from techno.gate import Governed


def difference(old: Action | None, new: Action) -> Detail:
    """Return what saving ``new`` over ``old`` would change; of a new one, what is unusual."""
    before = _told(old if old is not None else Action(enabled=True, source=""))
    return differences(before, _told(new))


def save_action(act: Governed, action: Action) -> Detail:
    """Create or change the action of that name; return what changed, nothing if it stood so.

    ``action`` has been cleaned. Raises ``audit.recorder.AuditUnavailable``; nothing changed then.
    """
    old = Action.objects.filter(name=action.name).first()
    changes = difference(old, action)
    if old is None:
        with recorded_change(act, "action.create", {"of": action.name}) as detail:
            action.version = _next_version(action.name)
            action.save(force_insert=True)
            _keep(act, action)
            detail.update({"version": action.version, **changes})
    elif changes:
        with recorded_change(act, _verb(changes), {"of": action.name}) as detail:
            old = Action.objects.select_for_update().get(pk=old.pk)
            changes = _replace(act, old, action)
            detail.update({"version": action.version, **changes})
    else:
        action.pk, action.version, action.created_at = old.pk, old.version, old.created_at
    return changes


def switch_action(act: Governed, name: str, *, enabled: bool) -> bool:
    """Let an action run, or keep it from running; return whether that changed anything.

    Raises ``Action.DoesNotExist``.
    """
    action = Action.objects.get(name=name)
    if action.enabled is enabled:
        return False
    action.enabled = enabled
    return bool(save_action(act, action))


def delete_action(act: Governed, action: Action) -> None:
    """Remove an action; its versions, runs and traces stay."""
    before = {f"before.{name}": value for name, value in _of(difference(None, action)).items()}
    with recorded_change(act, "action.delete", {"of": action.name, **before}):
        _keep_if_missing(action)
        action.delete()


def _verb(changes: Detail) -> str:
    if set(changes) == {"before.enabled", "after.enabled"}:
        return "action.enable" if changes["after.enabled"] else "action.disable"
    return "action.change"


def _replace(act: Governed, old: Action, new: Action) -> Detail:
    """Save ``new`` over ``old``, as a new version where the definition differs."""
    changes = difference(old, new)
    new.pk, new.version, new.created_at = old.pk, old.version, old.created_at
    if digest_of(definition_of(old)) != digest_of(definition_of(new)):
        _keep_if_missing(old)
        new.version = _next_version(new.name)
        _keep(act, new)
    new.save(force_update=True)
    return changes


def _next_version(name: str) -> int:
    kept = ActionVersion.objects.filter(action=name).order_by("-version").first()
    return kept.version + 1 if kept is not None else 1


def _keep(act: Governed, action: Action) -> None:
    definition = definition_of(action)
    ActionVersion.objects.create(
        action=action.name,
        version=action.version,
        snapshot=definition,
        digest=digest_of(definition),
        changed_by=act.principal.label or act.principal.identity,
        trace_id=act.trace.trace_id,
    )


def _keep_if_missing(action: Action) -> None:
    """An action that is older than its history begins it with what it said until now."""
    definition = definition_of(action)
    ActionVersion.objects.get_or_create(
        action=action.name,
        version=action.version,
        defaults={
            "snapshot": definition,
            "digest": digest_of(definition),
            "changed_at": action.updated_at,
        },
    )


def _told(action: Action) -> dict[str, Any]:
    return {**definition_of(action), "enabled": action.enabled, "source": action.source}


def _of(changes: Detail) -> Detail:
    """Only what is after a change, by field."""
    return {
        name.removeprefix("after."): value
        for name, value in changes.items()
        if name.startswith("after.")
    }
