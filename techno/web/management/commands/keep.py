"""``manage.py keep``: the background work of one host, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from typing import Any

import psycopg
from django.core.management.base import BaseCommand

from audit.keeper import Task, keep, tasks
from audit.recorder import AuditUnavailable
from executor.approval_decisions import lapse_overdue
from executor.reaping import reap_lost_runs
from techno.access.snapshot import write_snapshot
from techno.database.errors import StoreError

SNAPSHOT_EVERY_S = 10.0
REAP_EVERY_S = 15.0
LAPSE_EVERY_S = 2.0


class Command(BaseCommand):
    """Replays the journal, seals and signs the log, copies key digests, closes lost runs."""

    help = "Do the background work of this host; `serve` starts one of these."

    def handle(self, *args: Any, **options: Any) -> None:
        """Keep until SIGTERM or SIGINT."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        keep(
            stop,
            [
                *tasks(),
                Task("key snapshot", SNAPSHOT_EVERY_S, _snapshot),
                Task("lost runs", REAP_EVERY_S, _reap),
                Task("approvals", LAPSE_EVERY_S, _lapse),
            ],
        )


def _snapshot(connection: psycopg.Connection[Any]) -> None:
    write_snapshot()


def _reap(connection: psycopg.Connection[Any]) -> None:
    reap_lost_runs()


def _lapse(connection: psycopg.Connection[Any]) -> None:
    try:
        lapse_overdue()
    except AuditUnavailable as error:  # nothing lapsed; the keeper complains and comes again
        raise StoreError(str(error)) from error
