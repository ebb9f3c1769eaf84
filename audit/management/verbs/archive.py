"""``audit archive``: move old months into verified bundles."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from audit.archive import Archived, ArchiveRefused, archive_month, drop_month, months_before
from audit.checkpoints import make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from audit.verification import DEADLINE_S
from techno.acts import governed_command
from techno.gate import conclude
from techno.governance.verdict import APPROVED

HELP = "move months older than a policy into verified bundles and drop them from the database"


def configure(parser: ArgumentParser) -> None:
    """Declare how old, and where to."""
    parser.add_argument("directory", type=Path, help="where the bundles are kept")
    parser.add_argument("--older-than-days", type=float, required=True)
    parser.add_argument(
        "--keep-rows", action="store_true", help="write and verify the bundles, drop nothing"
    )


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Archive each month that is old enough; each is on record before it is dropped."""
    directory: Path = options["directory"]
    if not directory.is_dir():
        raise CommandError(f"{directory} must be an existing directory.")
    moment = timezone.now() - timedelta(days=options["older_than_days"])
    with keeper_connection() as connection:
        connection.deadline_s = DEADLINE_S  # type: ignore[attr-defined]
        seal_all(connection)
        make_checkpoint(connection, signing_directory(), origin())
        months = months_before(connection, moment)
        if not months:
            out.write("No month is that old (or the table is not partitioned).")
        for month in months:
            try:
                archived = archive_month(connection, month, directory)
            except ArchiveRefused as error:
                raise CommandError(f"{month.name} stays: {error}.") from error
            if archived is None:
                continue
            out.write(f"{archived.path}: {archived.rows} rows, sha256 {archived.sha256}")
            if not options["keep_rows"]:
                drop_month(connection, archived, recorded_in=_record(archived))
    return 0


def _record(archived: Archived) -> str:
    """Put the move on record; return the row that tells of it."""
    governed = governed_command("audit.archive")
    governed.detail.update(
        bundle=archived.path.name,
        sha256=archived.sha256,
        rows=archived.rows,
        first_leaf=archived.first_leaf,
        end_leaf=archived.end_leaf,
    )
    conclude(governed, APPROVED)
    return governed.trace.trace_id
