"""``audit export``: a bundle that an auditor can verify without us."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from audit.bundle import BundleError
from audit.checkpoints import make_checkpoint
from audit.export import NothingToExport, export_bundle
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.verification import DEADLINE_S
from techno.acts import governed_command
from techno.gate import conclude
from techno.governance.verdict import APPROVED

HELP = "write a self-contained bundle; `python audit/verify.py BUNDLE` verifies it anywhere"


def configure(parser: ArgumentParser) -> None:
    """Declare where to, and which time."""
    parser.add_argument("bundle", type=Path, help="the file to write, for example log.zip")
    parser.add_argument("--since", help="from this ISO 8601 time on; default: the beginning")
    parser.add_argument("--until", help="before this ISO 8601 time; default: now")


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Seal and sign what there is, and write the bundle whole or not at all."""
    since, until = _moment("--since", options["since"]), _moment("--until", options["until"])
    path: Path = options["bundle"]
    if path.exists():
        raise CommandError(f"{path} exists already; a bundle is never overwritten.")
    governed = governed_command("audit.export")
    governed.detail.update(since=options["since"], until=options["until"])
    conclude(governed, APPROVED)  # the look is on record before anything is shown
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with keeper_connection() as connection:
        connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
        seal_all(connection)
        make_checkpoint(connection, signing_directory(), origin())
        try:
            with draft.open("xb") as target:
                exported = export_bundle(connection, target, since=since, until=until)
            draft.rename(path)
        except (NothingToExport, BundleError) as error:
            raise CommandError(f"Nothing was exported: {error}.") from error
        finally:
            draft.unlink(missing_ok=True)
    out.write(
        f"{path}: leaves {exported.first} to {exported.end - 1} of {exported.size}, "
        f"{path.stat().st_size} bytes"
    )
    return 0


def _moment(name: str, text: str | None) -> datetime | None:
    """Return a time given on the command line. Raises ``CommandError`` naming the option."""
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{name} must be an ISO 8601 time, for example 2026-01-31T12:00:00Z.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
