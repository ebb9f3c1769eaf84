"""Bringing the registry in line with what was planned: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterable

from executor.action_changes import save_action
from executor.action_files import Planned
from techno.acts import governed_command, recorded_together


def load_actions(planned: Iterable[Planned]) -> None:
    """Save every action that is new or changed, in one transaction, each with a row of its own.

    Raises ``audit.recorder.AuditUnavailable`` and Django's ``DatabaseError``; nothing changed then.
    """
    with recorded_together():
        for each in planned:
            if each.kind != "unchanged":
                save_action(governed_command("actions.load"), each.action)
