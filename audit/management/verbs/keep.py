"""``audit keep``: the background work, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from audit.keeper import keep

HELP = "replay the journal, seal rows, sign checkpoints, make partitions; runs until stopped"


def configure(parser: ArgumentParser) -> None:
    """There is nothing to choose."""


def run(options: dict[str, Any], out: Any, err: Any) -> int:
    """Keep until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    keep(stop)
    return 0
