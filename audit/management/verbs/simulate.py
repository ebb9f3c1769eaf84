"""``audit simulate``: plausible history, fast, for tests and benchmarks only."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from audit.keeper import keeper_connection
from audit.simulation import mark_for_tests, may_simulate, simulate
from techno.database.current import connection_parameters

HELP = "write made-up history; only into a database that says it is one for tests"


def configure(parser: ArgumentParser) -> None:
    """Declare how much, and over which time."""
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--days", type=float, default=30, help="spread over so many days until now")
    parser.add_argument(
        "--this-is-a-test-database",
        action="store_true",
        help="mark an empty database as one for tests (it stays marked)",
    )


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Write ``--rows`` rows and say how fast that was."""
    with keeper_connection() as connection:
        if options["this_is_a_test_database"]:
            mark_for_tests(connection)
        if not may_simulate(connection):
            raise CommandError(
                "This database does not say that it is one for tests, so nothing was written. "
                "An empty one can be marked with --this-is-a-test-database."
            )
        started_s = time.monotonic()
        simulate(connection, connection_parameters(), rows=options["rows"], days=options["days"])
        took_s = time.monotonic() - started_s
    out.write(f"{options['rows']} rows in {took_s:.1f} s, {options['rows'] / took_s:.0f} rows/s")
    return 0
