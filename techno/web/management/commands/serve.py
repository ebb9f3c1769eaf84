"""The one command that serves: database, migrations, web processes, and the end of them all."""

from __future__ import annotations

import http.client
import os
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.management.base import BaseCommand

from techno import env
from techno.embedded import EmbeddedError, EmbeddedPostgres
from techno.web import preflight
from techno.web.interrupts import SUPERVISOR_VARIABLE, Interrupts
from techno.web.orphans import SERVICE_VARIABLE, adopt_orphans, end_remnants, service_mark
from techno.web.postgres_keeper import PostgresKeeper
from techno.web.supervisor import Service, StoppedError, Supervisor

_WEB_GRACE_S = 25.0  # gunicorn itself gives its workers 20
_KEEPER_GRACE_S = 15.0
_WORKER_GRACE_S = 25.0  # its runs have 20; while PostgreSQL is away it may not hear SIGTERM
# What only the migration is given: who serves requests must not be able to change the schema.
_OWNER_ONLY = frozenset({"TECHNO_MIGRATION_DATABASE_URL", "TECHNO_MIGRATION_DATABASE_URL_FILE"})
_PROBE_LIMIT_S = 2.0
_AFTER_LOSS = ("runs", "reap")


class Command(BaseCommand):
    """`manage.py serve`."""

    help = "Start the database and everything that serves, and supervise it until Ctrl-C."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--no-worker", action="store_true", help="serve only the web")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve until asked to stop; a problem ends it with one sentence and exit code 1."""
        with Interrupts() as interrupts:
            try:
                with _claimed():
                    self._serve(interrupts, worker=not options["no_worker"])
            except (preflight.PreflightError, EmbeddedError) as error:
                sys.exit(f"Error: {error}")
            except StoppedError:
                say("Stopped before it served.")

    def _serve(self, interrupts: Interrupts, *, worker: bool) -> None:
        postgres = EmbeddedPostgres(env.VAR_DIR) if env.uses_embedded() else None
        supervisor = Supervisor(
            services(worker=worker),
            interrupts=interrupts,
            say=say,
            environment=_environment(),
            directory=env.BASE_DIR,
            mark=service_mark(env.VAR_DIR),
            keeper=PostgresKeeper(postgres, interrupts, say) if postgres else None,
            after_loss=_AFTER_LOSS,
        )
        try:
            _prepare(supervisor, interrupts)
            if not supervisor.start_services(_answers):
                raise preflight.PreflightError("The web server did not start; it told why above.")
            say(f"Serving on http://{_url_host()}:{env.PORT}/ (Ctrl-C ends it).")
            supervisor.run()
            say("Stopping; requests in progress are finished first (Ctrl-C again: at once).")
        finally:
            clean = supervisor.stop()
        if not clean:
            raise preflight.PreflightError("Some processes could not be ended; see `ps`.")
        say("Stopped.")


def services(*, worker: bool) -> list[Service]:
    """Return what runs beside the database. `worker`: also what is not the web."""
    web = Service(
        "The web server",
        (sys.executable, "-m", "gunicorn", "--config", "python:techno.web.gunicorn_conf"),
        stage=0,
        grace_s=_WEB_GRACE_S,
    )
    keeper = Service(
        "The keeper", (sys.executable, "manage.py", "keep"), stage=1, grace_s=_KEEPER_GRACE_S
    )
    runner = Service(
        "The worker", (sys.executable, "manage.py", "worker"), stage=0, grace_s=_WORKER_GRACE_S
    )
    return [web, keeper, *([runner] if worker else [])]


def say(message: str) -> None:
    """Tell a person; a terminal that has gone away is no reason to fail."""
    with suppress(OSError, ValueError):
        print(message, flush=True)


@contextmanager
def _claimed() -> Iterator[None]:
    """Hold the right to serve from the state directory, with nothing of an earlier time left."""
    preflight.check_writable(env.VAR_DIR)
    lock = preflight.lock_service(env.VAR_DIR)
    try:
        end_remnants(service_mark(env.VAR_DIR))
        preflight.check_address(env.HOST, env.PORT)
        adopt_orphans()
        yield
    finally:
        lock.release()


def _prepare(supervisor: Supervisor, interrupts: Interrupts) -> None:
    if env.uses_embedded():
        supervisor.start_postgres()
    else:
        preflight.wait_for_database(
            _external_database(), cancelled=lambda: interrupts.stop_requested
        )
    owner = {name: os.environ[name] for name in _OWNER_ONLY if name in os.environ}
    _run(
        supervisor,
        "prepare_database",
        "-v",
        "0",
        environment=owner | {"TECHNO_DATABASE_ROLE": "owner"},
    )
    _run(supervisor, "prepare_service")


def _run(
    supervisor: Supervisor, *arguments: str, environment: dict[str, str] | None = None
) -> None:
    if supervisor.run_step(*arguments, environment=environment) != 0:
        raise preflight.PreflightError(
            f"`manage.py {' '.join(arguments)}` failed; it told why above."
        )


def _environment() -> dict[str, str]:
    """Return the environment of the services; the metrics of dead processes are thrown away."""
    metrics = env.VAR_DIR / "run" / "prometheus"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(mode=0o700)
    inherited = {name: value for name, value in os.environ.items() if name not in _OWNER_ONLY}
    return inherited | {
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        SERVICE_VARIABLE: service_mark(env.VAR_DIR),
        SUPERVISOR_VARIABLE: str(os.getpid()),
    }


def _external_database() -> dict[str, object]:
    given = env.database()
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    chosen = {key: given[name] for key, name in names.items() if given[name]}
    return {**given["OPTIONS"], **chosen, "dbname": given["NAME"]}


def _url_host() -> str:
    """Return the host under which a browser on this machine finds us."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(env.HOST, env.HOST)  # noqa: S104 (compared)
    return f"[{host}]" if ":" in host else host


def _answers() -> bool:
    connection = http.client.HTTPConnection(_url_host(), env.PORT, timeout=_PROBE_LIMIT_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
