"""An adopted table is partitioned while others write to it, and the command is killed meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from audit.repartition import BATCH_ROWS
from techno.embedded import OWNER_ROLE, EmbeddedPostgres
from techno.embedded.layout import BOOTSTRAP_ROLE
from tests import isolation
from tests.audit.log import run_action, verify, wait_until_sealed
from tests.service import Service, Services

pytestmark = pytest.mark.slow

ROWS = BATCH_ROWS * 2 + 5_000
KILL_WITHIN_S = 60
TABLE = f"""
CREATE TABLE audit_logs (
    trace_id     uuid PRIMARY KEY,
    "timestamp"  timestamp with time zone NOT NULL DEFAULT now(),
    reason_codes jsonb,
    session_id   character varying(64),
    user_ip      character varying(45)
);
CREATE INDEX audit_logs_session_idx ON audit_logs (session_id);
INSERT INTO audit_logs
SELECT gen_random_uuid(), now() - n * interval '1 minute', '[]', 'legacy', '198.51.100.7'
FROM generate_series(1, {ROWS}) AS n;
"""
INSERT = "INSERT INTO audit_logs (trace_id, session_id) VALUES (%s, 'other')"


class OtherWriter(threading.Thread):
    """Another service: writes rows with random ids through a role that may do nothing else."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        super().__init__()
        self._given: dict[str, Any] = server.connection(BOOTSTRAP_ROLE)
        self._stop_asked = threading.Event()
        self.written: list[str] = []
        self.failures: list[str] = []

    def run(self) -> None:
        with psycopg.connect(**self._given, autocommit=True) as connection:
            connection.execute("SET SESSION AUTHORIZATION legacy_writer")
            while not self._stop_asked.wait(0.01):
                trace_id = str(uuid.uuid4())
                try:
                    connection.execute(INSERT, [trace_id])
                    self.written.append(trace_id)
                except psycopg.Error as error:
                    self.failures.append(str(error))

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server with another service's table."""
    made = EmbeddedPostgres(isolation.OWN_DIRECTORY / "unpartitioned")
    made.start()
    try:
        with connected(made, BOOTSTRAP_ROLE) as connection:
            connection.execute("CREATE ROLE legacy_writer LOGIN")
            connection.execute("GRANT USAGE ON SCHEMA public TO legacy_writer")
        with connected(made, OWNER_ROLE) as connection:
            connection.execute(TABLE)
            connection.execute("GRANT INSERT (trace_id, session_id) ON audit_logs TO legacy_writer")
        yield made
    finally:
        made.stop(hurry=True)


def connected(server: EmbeddedPostgres, role: str) -> psycopg.Connection[Any]:
    given: dict[str, Any] = server.connection(role)
    return psycopg.connect(**given, autocommit=True)


def is_partitioned(service: Service) -> bool:
    found = service.sql("SELECT relkind = 'p' FROM pg_class WHERE oid = 'audit_logs'::regclass")
    return bool(found[0][0])


def kill_in_the_middle(service: Service, server: EmbeddedPostgres) -> None:
    """Run the command and kill it once it has copied some; it cannot come to the end."""
    with connected(server, OWNER_ROLE) as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT 1 FROM audit_logs LIMIT 1")  # the swap must wait for this
        process = subprocess.Popen(
            [sys.executable, str(isolation.REPOSITORY / "manage.py"), "audit", "partition"],
            env=service.environment,
            cwd=isolation.REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        watchdog = threading.Timer(KILL_WITHIN_S, process.kill)
        watchdog.start()
        assert process.stderr is not None
        said = [line for line in iter(process.stderr.readline, "") if _kill_at(line, process)]
        process.wait()
        process.stderr.close()
        watchdog.cancel()
        assert said
        holder.execute("ROLLBACK")


def _kill_at(line: str, process: subprocess.Popen[str]) -> bool:
    if "rows copied" in line:
        process.kill()
        return True
    return False


def test_it_is_resumable_and_nobody_stops_writing(
    start_service: Services, server: EmbeddedPostgres
) -> None:
    with start_service(postgres=server) as service:
        service.sql("CREATE VIEW someone_elses AS SELECT session_id FROM audit_logs")
        refused = service.manage("audit", "partition", check=False)
        assert refused.returncode != 0
        assert "someone_elses" in refused.stderr
        service.sql("DROP VIEW someone_elses")

        other = OtherWriter(server)
        other.start()
        try:
            kill_in_the_middle(service, server)
            assert not is_partitioned(service)
            copied = service.sql("SELECT count(*) FROM audit_logs_twin")[0][0]
            assert copied >= BATCH_ROWS
            with service.client() as client:
                own = [run_action(client)["trace_id"]]
                said = service.manage("audit", "partition").stdout
                own.append(run_action(client)["trace_id"])
        finally:
            other.stop()

        assert "audit_logs is partitioned" in said
        assert is_partitioned(service)
        assert not other.failures
        assert other.written
        found = {str(row[0]) for row in service.sql("SELECT trace_id FROM audit_logs")}
        former = {str(r[0]) for r in service.sql("SELECT trace_id FROM audit_logs_unpartitioned")}
        assert former - found == set()
        assert {*other.written, *own} - found == set()
        assert len(found) >= ROWS + len(other.written) + len(own)
        months = service.sql(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit_logs'::regclass"
        )
        assert months[0][0] >= 4
        assert service.sql(
            "SELECT count(*) FROM pg_indexes WHERE tablename = 'audit_logs' "
            "AND indexdef LIKE '%(session_id)%'"
        ) == [(1,)]
        wait_until_sealed(service, own[-1])
        wait_until_sealed(service, other.written[-1])
        code, report = verify(service)
        assert code == 0, report
        again = service.manage("audit", "partition").stdout
        assert "partitioned already" in again
        for statement in ("UPDATE audit_logs SET user_ip = ''", "TRUNCATE audit_logs"):
            with connected(server, OWNER_ROLE) as owner, pytest.raises(psycopg.Error) as refusal:
                owner.execute(statement)
            assert refusal.value.sqlstate == "23001"
