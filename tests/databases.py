"""Migrated databases for the tests: one is made as in production, all others are copies of it."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from techno.embedded import OWNER_ROLE, EmbeddedPostgres
from tests import isolation

ACTIONS = isolation.REPOSITORY / "tests" / "data" / "actions.toml"
COMMAND_LIMIT_S = 120
_TEMPLATE_DATABASE = f"techno_test_{isolation.TOKEN}_template"


def manage(
    environment: dict[str, str], *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` in a process of its own. Raises ``AssertionError`` when it fails."""
    done = subprocess.run(
        [sys.executable, str(isolation.REPOSITORY / "manage.py"), *arguments],
        env=environment,
        cwd=isolation.REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT_S,
    )
    if check:
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def copy_embedded(var_dir: Path) -> None:
    """Make ``var_dir`` one whose embedded database is migrated and has the actions; it is off."""
    with _one_at_a_time():
        template = isolation.ROOT / "template"
        if not template.exists():
            unfinished = isolation.ROOT / "template.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            postgres = EmbeddedPostgres(unfinished)
            postgres.start()
            try:
                _migrate(isolation.service_environment(unfinished))
            finally:
                postgres.stop()
            unfinished.rename(template)
    var_dir.mkdir(mode=0o711, parents=True)
    (var_dir / "postgres").mkdir()
    source, target = template / "postgres" / "data", var_dir / "postgres" / "data"
    # Keeps the owner, who may be another account than ours.
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def copy_external(name: str) -> None:
    """Make a migrated database ``name`` on the developer's server."""
    with _one_at_a_time(), _external() as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE_DATABASE]
        ).fetchone()
        if found is None:
            unfinished = f"{_TEMPLATE_DATABASE}_unfinished"
            drop_external(unfinished)
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished)))
            _migrate(isolation.service_environment(isolation.ROOT / "template-var", unfinished))
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(unfinished), sql.Identifier(_TEMPLATE_DATABASE)
                )
            )
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(_TEMPLATE_DATABASE)
            )
        )


def drop_external(name: str = _TEMPLATE_DATABASE) -> None:
    """Drop a database of ours on the developer's server, whoever is connected to it.

    Each role ends its own connections: the owner may not be allowed to end the application's.
    """
    for url in {isolation.EXTERNAL_URL, isolation.EXTERNAL_OWNER_URL}:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = %s AND usename = current_user AND pid <> pg_backend_pid()",
                [name],
            )
    with _external() as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


@contextmanager
def own_database() -> Iterator[None]:
    """Have the database that this process's settings name: migrated, and gone afterwards."""
    if isolation.EXTERNAL_URL:
        copy_external(isolation.OWN_DATABASE)
        try:
            yield
        finally:
            drop_external(isolation.OWN_DATABASE)
        return
    copy_embedded(isolation.VAR_DIR)
    postgres = EmbeddedPostgres(isolation.VAR_DIR)
    postgres.start()
    try:
        yield
    finally:
        postgres.stop(hurry=True)


def connect_as_owner() -> psycopg.Connection[Any]:
    """Connect to this process's own database as the role that owns its tables."""
    if isolation.EXTERNAL_URL:
        url = isolation.with_database(isolation.EXTERNAL_OWNER_URL, isolation.OWN_DATABASE)
        return psycopg.connect(url, autocommit=True)
    parameters: dict[str, Any] = EmbeddedPostgres(isolation.VAR_DIR).connection(OWNER_ROLE)
    return psycopg.connect(**parameters, autocommit=True)


def _migrate(environment: dict[str, str]) -> None:
    """Do what a start of the service does: migrate as the owner, then load the actions."""
    manage(environment, "prepare_database", "-v", "0")
    manage(environment, "actions", "load")
    manage(environment, "actions", "load", str(ACTIONS))


@contextmanager
def _external() -> Iterator[psycopg.Connection]:
    with psycopg.connect(isolation.EXTERNAL_OWNER_URL, autocommit=True) as connection:
        yield connection


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with (isolation.ROOT / "template.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
