"""``manage.py approvals list|show|approve|refuse``."""

from __future__ import annotations

import shlex
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.recorder import AuditUnavailable
from executor.approval_decisions import current_approval, decide_run
from executor.approval_models import Approval, ApprovalState
from executor.approvers import approver_of
from techno.acts import governed_command
from techno.database.errors import StoreError

LISTED_MOST = 100


class Command(BaseCommand):
    """Shows what waits for approval and, where that is allowed, decides about it."""

    help = "List, show, approve and refuse runs that wait for approval."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser("list", help="what waits; what lapses first stands first")
        listing.add_argument("--all", action="store_true", help="also what is decided")
        verbs.add_parser("show", help="one approval").add_argument("execution_id")
        for verb in ("approve", "refuse"):
            deciding = verbs.add_parser(verb, help=f"{verb} a run in the name of somebody")
            deciding.add_argument("execution_id")
            deciding.add_argument("--as", dest="person", required=True, help="a user's name")
            deciding.add_argument("--reason", required=True, help="goes on record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what the verb says. Raises ``CommandError`` with one clear sentence."""
        try:
            getattr(self, f"_{options['verb']}")(options)
        except (StoreError, AuditUnavailable) as error:
            raise CommandError(f"Nothing was decided: {error}") from error

    def _list(self, options: dict[str, Any]) -> None:
        approvals = Approval.objects.order_by("-requested_at")
        if not options["all"]:
            approvals = Approval.objects.filter(state=ApprovalState.WAITING).order_by("expires_at")
        found = list(approvals[:LISTED_MOST])
        if not found:
            self.stderr.write("Nothing waits for approval.")
        for each in found:
            self.stdout.write(
                f"{each.execution_id}  {each.state:9}  {each.given}/{each.needed}  "
                f"lapses {each.expires_at.isoformat(timespec='seconds')}  {each.action}  "
                f"{each.requester_label or each.requester}: {each.reason}"
            )

    def _show(self, options: dict[str, Any]) -> None:
        standing = current_approval(options["execution_id"])
        approval = Approval.objects.filter(execution_id=options["execution_id"]).first()
        if approval is None or standing is None:
            raise CommandError(f"There is no approval of {options['execution_id']!r}.")
        shown = {
            "run": approval.execution_id,
            "action": f"{approval.action}, version {approval.version}",
            "argv": shlex.join(approval.argv),
            "parameters": ", ".join(f"{name}={it}" for name, it in approval.parameters.items()),
            "requester": f"{approval.requester_label} ({approval.requester_kind})",
            "reason": approval.reason,
            "state": f"{standing.state}, {standing.given} of {standing.needed}",
            "lapses": approval.expires_at.isoformat(timespec="seconds"),
            "groups": ", ".join(approval.groups) or "everybody who may approve",
        }
        for name, text in shown.items():
            self.stdout.write(f"{name:11} {text}")
        for each in standing.decisions:
            by = " ".join(filter(None, (each["person"], each["reason"])))
            self.stdout.write(f"{each['decision']:11} {each['decided_at']} {by}")

    def _approve(self, options: dict[str, Any]) -> None:
        self._decide(options, approve=True)

    def _refuse(self, options: dict[str, Any]) -> None:
        self._decide(options, approve=False)

    def _decide(self, options: dict[str, Any], *, approve: bool) -> None:
        """Decide in the name of a person, under all the rules that hold for them."""
        if not settings.TERMINAL_APPROVALS:
            raise CommandError(
                "Decisions are made in the portal, where people sign in. Whoever uses a terminal "
                "could take any name: set TECHNO_TERMINAL_APPROVALS=1 to allow that all the same."
            )
        user = get_user_model().objects.filter(username=options["person"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['person']!r}.")
        verdict = decide_run(
            governed_command("approval.approve" if approve else "approval.refuse"),
            options["execution_id"],
            approver_of(user),
            approve=approve,
            reason=options["reason"],
        )
        if not verdict.approved:
            raise CommandError(verdict.message)
        self.stdout.write(f"{options['execution_id']} is {'approved' if approve else 'refused'}.")
