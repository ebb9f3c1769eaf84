"""``audit redact``: erase addresses, sessions and agents by policy, on record."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from audit.keeper import keeper_connection, seal_all
from audit.redaction import Choice, count_without_salt, redact
from audit.verification import DEADLINE_S
from techno.acts import governed_command
from techno.gate import conclude
from techno.governance.verdict import APPROVED

HELP = "erase personal values (address, session, agent) of old rows; the proof stays"
REASON_LEAST = 10


def configure(parser: ArgumentParser) -> None:
    """Declare which rows, and why."""
    parser.add_argument("--older-than-days", type=float, required=True)
    parser.add_argument("--session", default="", help="only rows of this session")
    parser.add_argument("--address", default="", help="only rows of this client address")
    parser.add_argument("--reason", required=True, help="goes on record")


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Record the act, then erase; also in the runs' own copies."""
    reason = options["reason"].strip()
    if len(reason) < REASON_LEAST:
        raise CommandError(f"--reason must be a sentence of {REASON_LEAST} characters or more.")
    if options["older_than_days"] < 0:
        raise CommandError("--older-than-days must not be negative.")
    before = timezone.now() - timedelta(days=options["older_than_days"])
    choice = Choice(before, options["session"], options["address"])
    governed = governed_command("audit.redact")
    # What is erased must not come back through the record of its erasure.
    governed.detail.update(
        reason=reason[:500],
        before=before.isoformat(),
        one_session=bool(choice.session_id),
        one_address=bool(choice.user_ip),
    )
    conclude(governed, APPROVED)
    with keeper_connection() as connection:
        connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
        seal_all(connection)
        foreign = count_without_salt(connection, choice)
        rows = redact(connection, choice, recorded_in=governed.trace.trace_id)
        connection.execute(
            "UPDATE command_runs c SET session_id = '', user_ip = '' FROM audit_redactions x "
            "WHERE x.trace_id = c.trace_id AND x.recorded_in = %s AND c.user_ip <> ''",
            [governed.trace.trace_id],
        )
    out.write(f"{rows} rows erased; recorded as {governed.trace.trace_id}.")
    if foreign:
        err.write(
            f"{foreign} rows of another writer keep their values: they were sealed without a "
            "salt, and could not be erased without damage to the proof."
        )
    return 0
