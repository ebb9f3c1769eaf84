"""``audit journal``: what waits on this host, what was put aside, and what is damaged."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson

from audit import spill
from audit.journal import Finding, FindingKind

HELP = "read this host's journal and what PostgreSQL refused; changes nothing; exit 1 on damage"


def configure(parser: ArgumentParser) -> None:
    """Declare what is shown."""
    parser.add_argument(
        "--all", action="store_true", help="also records that are in the database already"
    )


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Print a line for each record and each finding. Returns 1 when something is damaged."""
    damaged = 0
    for name, journal in (("journal", spill.journal()), ("refused", spill.refused())):
        waiting = 0
        for finding in journal.inspect():
            damaged += finding.kind is FindingKind.DAMAGED
            waiting += finding.kind is FindingKind.RECORD and not finding.delivered
            if options["all"] or not finding.delivered:
                for line in _lines(finding):
                    out.write(f"{name}\t{line}")
        out.write(f"{name}: {waiting} records wait")
        journal.close()
    out.write("DAMAGED" if damaged else "OK")
    return 1 if damaged else 0


def _lines(finding: Finding) -> Iterator[str]:
    """Return a record's writes, one a line, or what is wrong in the file."""
    if finding.payload is None:
        yield str(finding)
        return
    written = datetime.fromtimestamp(finding.written_at or 0, UTC).isoformat(" ", "milliseconds")
    try:
        writes = orjson.loads(finding.payload)["writes"]
        for write in writes:
            row = write["row"]
            named = ("trace_id", "action", "status", "reason_codes", "execution_id")
            told = " ".join(f"{name}={row[name]}" for name in named if row.get(name))
            told = told.encode(
                "unicode_escape"
            ).decode()  # whatever came in must not steer a terminal
            yield f"{written}\t{write['statement']}\t{told}"
    except (ValueError, KeyError, TypeError, AttributeError):
        yield f"{written}\tno record of this service: {len(finding.payload)} bytes"
