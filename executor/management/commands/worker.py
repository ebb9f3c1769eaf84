"""``manage.py worker``: runs what waits in the queues of this host."""

from __future__ import annotations

import argparse
import re
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

QUEUE = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
CONCURRENCY_MOST = 64


class Command(BaseCommand):
    """Takes runs from queues and runs them here, until it is told to stop."""

    help = "Run queued commands on this host; `serve` starts one such worker."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the queues and how many runs may go on at once."""
        parser.add_argument(
            "--queues",
            type=_queues,
            default=",".join(settings.WORKER_QUEUES),
            help="names with commas between them (default: TECHNO_WORKER_QUEUES)",
        )
        parser.add_argument(
            "--concurrency",
            type=_concurrency,
            default=settings.WORKER_CONCURRENCY,
            help="runs at once (default: TECHNO_WORKER_CONCURRENCY)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until SIGTERM or SIGINT."""
        from executor.worker_loop import WorkerLoop

        WorkerLoop(options["queues"], options["concurrency"]).run()


def _queues(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if QUEUE.fullmatch(name) is None:
            raise argparse.ArgumentTypeError(f"{name!r} is not the name of a queue")
    if not names:
        raise argparse.ArgumentTypeError("name at least one queue")
    return names


def _concurrency(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}", text) is None or not 1 <= int(text) <= CONCURRENCY_MOST:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {CONCURRENCY_MOST}")
    return int(text)
