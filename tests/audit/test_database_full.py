"""PostgreSQL's own disk is full: it answers 53100, and the journal takes the rows meanwhile."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from techno.embedded import OWNER_ROLE, EmbeddedPostgres
from tests import isolation
from tests.audit.test_journal_full import fill_disk, mount
from tests.service import Service, Services

pytestmark = pytest.mark.slow

DISK = "size=256m,mode=755"
ASKED_MOST = 3_000
WITHIN_S = 90.0


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server whose tables are on a small disk; its log of writes is elsewhere.

    Where both share a full disk the server ends by itself, which other tests do to it.
    """
    var_dir = isolation.OWN_DIRECTORY / "small"
    disk = var_dir / "postgres"
    disk.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", DISK, "none", disk)
    made = EmbeddedPostgres(var_dir)
    try:
        made.start()
        made.stop()
        wal = var_dir / "wal"
        subprocess.run(["cp", "-a", str(disk / "data" / "pg_wal"), str(wal)], check=True)
        subprocess.run(["rm", "-r", str(disk / "data" / "pg_wal")], check=True)
        (disk / "data" / "pg_wal").symlink_to(wal)
        made.start()
        yield made
    finally:
        made.stop(hurry=True)
        subprocess.run(["umount", "-l", str(disk)], check=True)


def answered(server: EmbeddedPostgres) -> str:
    """Return what PostgreSQL says when a table of ours must grow: its SQLSTATE."""
    given: dict[str, Any] = server.connection(OWNER_ROLE)
    with psycopg.connect(**given, autocommit=True) as connection:
        connection.execute("SET default_statistics_target = 1")
        try:
            connection.execute(
                "CREATE TABLE grown AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)"
            )
        except psycopg.Error as error:
            return error.sqlstate or ""
        connection.execute("DROP TABLE grown")
        return ""


def journalled(service: Service) -> int:
    with service.client() as client:
        found = client.get("/api/diagnostic/metrics").json()
    return int(found["metrics"]["journal_records"])


def test_rows_go_to_the_journal_until_there_is_room(
    start_service: Services, server: EmbeddedPostgres
) -> None:
    filler = isolation.OWN_DIRECTORY / "small" / "postgres" / "filler"
    told: list[str] = []
    with start_service(postgres=server) as service, service.client() as client:
        told.append(client.get("/api/memory").json()["trace_id"])
        _fill(filler)
        try:
            assert answered(server) == "53100"
            for asked in range(ASKED_MOST):
                answer = client.get("/api/memory")
                assert answer.status_code == 200, answer.text
                told.append(answer.json()["trace_id"])
                if asked % 50 == 49 and journalled(service):
                    break
            else:
                pytest.fail("the full disk was never felt")
            run = client.post("/api/execute", json={"command": "CLOCK"})
            told.append(run.json()["trace_id"])
            assert run.status_code in (200, 503), run.text
            assert run.status_code == 200 or "G17_audit_unavailable" in run.json()["reason_codes"]
        finally:
            filler.unlink()
        ends_at = time.monotonic() + WITHIN_S
        while journalled(service) and time.monotonic() < ends_at:
            time.sleep(0.5)
        rows = Counter(
            str(row[0])
            for row in service.sql(
                "SELECT trace_id FROM audit_logs WHERE trace_id = ANY (%s::uuid[])", [told]
            )
        )
    assert set(told) - set(rows) == set(), "answers without a row"
    assert set(rows.values()) == {1}


def _fill(path: Path) -> None:
    """Take all room; PostgreSQL may free some of its own meanwhile, so twice."""
    fill_disk(path)
    with path.open("ab", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while file.write(b"f" * size) == size:
                    pass
            except OSError:
                continue
