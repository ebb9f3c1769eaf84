"""The roles that come with a release: what each is for, and all that it lets somebody do.

A role is a Django group. The ones below belong to the release: every migration brings them back
to what stands here, so that ``docs/access.md`` is true of every installation. Who needs another
mix of permissions makes a group of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

#: Permissions with which somebody can do harm that is not undone by looking: whoever has one of
#: them, by whichever way, needs a second factor.
NEED_SECOND_FACTOR = frozenset(
    {
        "access.add_apikey",
        "access.change_apikey",
        "auth.add_group",
        "auth.add_user",
        "auth.change_group",
        "auth.change_user",
        "auth.delete_group",
        "executor.add_action",
        "executor.add_actionschedule",
        "executor.approve_run",
        "executor.change_action",
        "executor.change_actionschedule",
        "executor.delete_action",
    }
)

_LOOKING = frozenset(
    {
        "audit.view_audittrace",
        "executor.view_action",
        "executor.view_commandrun",
    }
)


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the release. ``permissions`` are ``app.codename``."""

    name: str
    purpose: str | Promise
    permissions: frozenset[str]

    @property
    def requires_mfa(self) -> bool:
        """Whether one of its permissions needs a second factor."""
        return not self.permissions.isdisjoint(NEED_SECOND_FACTOR)


VIEWER = Role("viewer", _("Sees traces, runs and actions, but no output."), _LOOKING)
AUDITOR = Role(
    "auditor",
    _("Reads everything, output too, verifies the log and exports it; changes nothing."),
    _LOOKING
    | {
        "access.view_apikey",
        "audit.export_audittrace",
        "audit.verify_log",
        "auth.view_group",
        "auth.view_user",
        "executor.view_approval",
        "executor.view_output",
        "executor.view_actionschedule",
        "usersessions.view_usersession",
    },
)
OPERATOR = Role(
    "operator",
    _("Runs actions, sees their output and stops them."),
    _LOOKING
    | {
        "executor.cancel_commandrun",
        "executor.run_action",
        "executor.run_schedule",
        "executor.view_approval",
        "executor.view_output",
        "executor.view_actionschedule",
    },
)
APPROVER = Role(
    "approver",
    _("Decides about runs that wait for approval."),
    _LOOKING | {"executor.approve_run", "executor.view_approval"},
)
KEY_MANAGER = Role(
    "key manager",
    _("Issues, restricts, rotates and ends API keys."),
    frozenset(
        {
            "access.add_apikey",
            "access.change_apikey",
            "access.view_apikey",
            "audit.view_audittrace",
            "executor.view_action",
        }
    ),
)
ADMINISTRATOR = Role(
    "administrator",
    _("Everything that the other roles may, and people, roles and actions."),
    AUDITOR.permissions
    | OPERATOR.permissions
    | APPROVER.permissions
    | KEY_MANAGER.permissions
    | {
        "auth.add_group",
        "auth.add_user",
        "auth.change_group",
        "auth.change_user",
        "auth.delete_group",
        "executor.add_action",
        "executor.add_actionschedule",
        "executor.change_action",
        "executor.change_actionschedule",
        "executor.delete_action",
        "executor.delete_actionschedule",
        "usersessions.delete_usersession",
    },
)

ROLES = (VIEWER, AUDITOR, OPERATOR, APPROVER, KEY_MANAGER, ADMINISTRATOR)
BY_NAME = {role.name: role for role in ROLES}
