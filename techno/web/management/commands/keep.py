"""``manage.py keep``: the background work of one host, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from django.core.management.base import BaseCommand
from django.db import Error, connections

from audit import verification_requests
from audit.keeper import Task, keep, tasks
from audit.recorder import AuditUnavailable
from executor.approval_decisions import lapse_overdue
from executor.output_removal import remove_old_output
from executor.reaping import reap_lost_runs
from executor.schedule_firing import fire_due, settle_claims
from executor.upkeep import forget_answers, tend_queue
from techno.access.refused_minutes import tell_ended
from techno.access.snapshot import write_snapshot
from techno.access.tokens import prune_buckets
from techno.database.errors import StoreUnavailable

SNAPSHOT_EVERY_S = 10.0
REAP_EVERY_S = 3.0
LAPSE_EVERY_S = 2.0
FIRE_EVERY_S = 1.0
TEND_EVERY_S = 2.0
FORGET_EVERY_S = 600.0
PRUNE_EVERY_S = 600.0
REMOVE_OUTPUT_EVERY_S = 10.0
VERIFY_EVERY_S = 1.0
TELL_REFUSED_EVERY_S = 10.0


class Command(BaseCommand):
    """Replays the journal, seals and signs the log, copies key digests, looks after runs."""

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
                Task("schedules", FIRE_EVERY_S, _fire),
                Task("queued runs", TEND_EVERY_S, _tend),
                Task("old answers", FORGET_EVERY_S, _forget),
                Task("rates", PRUNE_EVERY_S, _prune),
                Task("old output", REMOVE_OUTPUT_EVERY_S, _remove_output),
                Task("verifications", VERIFY_EVERY_S, _verify),
                Task("refused minutes", TELL_REFUSED_EVERY_S, _tell_refused),
            ],
        )


def _snapshot(connection: psycopg.Connection[Any]) -> None:
    write_snapshot()


def _reap(connection: psycopg.Connection[Any]) -> None:
    _waiting_for_the_store(reap_lost_runs)


def _tend(connection: psycopg.Connection[Any]) -> None:
    _waiting_for_the_store(tend_queue)


def _lapse(connection: psycopg.Connection[Any]) -> None:
    _waiting_for_the_store(lapse_overdue)


def _tell_refused(connection: psycopg.Connection[Any]) -> None:
    _waiting_for_the_store(tell_ended)


def _waiting_for_the_store(work: Callable[[], object]) -> None:
    """Do what needs audit rows; without them it is done next time, as with any outage."""
    try:
        work()
    except AuditUnavailable as error:
        raise StoreUnavailable(str(error)) from error


def _forget(connection: psycopg.Connection[Any]) -> None:
    forget_answers()


def _prune(connection: psycopg.Connection[Any]) -> None:
    prune_buckets()


def _fire(connection: psycopg.Connection[Any]) -> None:
    """Fire schedules."""

    def fire() -> None:
        settle_claims()
        fire_due()

    _on_djangos_connection(fire)


def _remove_output(connection: psycopg.Connection[Any]) -> None:
    _on_djangos_connection(remove_old_output)


def _on_djangos_connection(work: Callable[[], object]) -> None:
    """Do what uses the ORM. What its connection meets is told as the store's trouble."""
    try:
        work()
    except (AuditUnavailable, Error) as error:
        connections.close_all()  # the next turn opens a new one
        raise StoreUnavailable(str(error)) from error


def _verify(connection: psycopg.Connection[Any]) -> None:
    """Tend verifications."""
    _on_djangos_connection(lambda: verification_requests.tend(connection))
