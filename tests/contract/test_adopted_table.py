"""An ``audit_logs`` that another service made and writes: adopted as it stands, and shared."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from techno.embedded import OWNER_ROLE, EmbeddedPostgres
from techno.embedded.layout import BOOTSTRAP_ROLE
from tests import databases, isolation
from tests.contract.promises import Promises
from tests.service import Service, Services

pytestmark = pytest.mark.slow

TABLE = """
CREATE TABLE audit_logs (
    trace_id     uuid PRIMARY KEY,
    "timestamp"  timestamp with time zone NOT NULL DEFAULT now(),
    reason_codes jsonb,
    session_id   character varying(64),
    user_ip      character varying(45)
);
CREATE INDEX audit_logs_session_idx ON audit_logs (session_id);
INSERT INTO audit_logs
SELECT gen_random_uuid(), timestamptz '2025-01-01' + n * interval '1 hour',
       (ARRAY['[]', '["G8_unknown_action"]', '["E0_nonzero_exit"]', '["OLD_CODE"]', null]
       )[1 + n % 5]::jsonb,
       'legacy', '198.51.100.' || n % 250
FROM generate_series(1, 100) AS n;
INSERT INTO audit_logs (trace_id, session_id) VALUES (gen_random_uuid(), null);
"""
_SHAPE = """
SELECT column_name, data_type, udt_name, character_maximum_length, is_nullable, column_default,
       ordinal_position
FROM information_schema.columns WHERE table_name = 'audit_logs' ORDER BY ordinal_position
"""
_BEYOND = """
SELECT relkind::text, relowner::regrole::text,
       (SELECT array_agg(conname::text || pg_get_constraintdef(oid) ORDER BY conname)
        FROM pg_constraint WHERE conrelid = c.oid AND contype IN ('p', 'u', 'c', 'f')),
       (SELECT array_agg(indexrelid::regclass::text ORDER BY 1) FROM pg_index
        WHERE indrelid = c.oid)
FROM pg_class c WHERE oid = 'audit_logs'::regclass
"""
_ROWS = "SELECT * FROM audit_logs ORDER BY trace_id"
EXPECTED = {"APPROVED": 20, "BLOCKED": 60, "WARNING": 20}  # no list at all is doubt, thus BLOCKED


@dataclass
class Adopted:
    """The service on the adopted table, and what was there before it came."""

    service: Service
    server: EmbeddedPostgres
    shape: list[Any]
    beyond: list[Any]
    rows: list[Any]

    def as_other_service(self, statement: str, parameters: list[Any]) -> None:
        """Run a statement as the role of the other service, which may INSERT and nothing else."""
        given: dict[str, Any] = self.server.connection(BOOTSTRAP_ROLE)
        with psycopg.connect(**given, autocommit=True) as connection:
            connection.execute("SET SESSION AUTHORIZATION legacy_writer")
            connection.execute(statement, parameters)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def adopted(start_service: Services) -> Iterator[Adopted]:
    var_dir = isolation.OWN_DIRECTORY / "legacy"
    server = EmbeddedPostgres(var_dir)
    server.start()
    try:
        given: dict[str, Any] = server.connection(BOOTSTRAP_ROLE)
        with psycopg.connect(**given, autocommit=True) as connection:
            connection.execute("CREATE ROLE legacy_writer LOGIN")
            connection.execute("GRANT USAGE ON SCHEMA public TO legacy_writer")
        given = server.connection(OWNER_ROLE)
        with psycopg.connect(**given, autocommit=True) as connection:
            connection.execute(TABLE)
            connection.execute("GRANT INSERT ON audit_logs TO legacy_writer")
            shape, beyond, rows = (
                connection.execute(query).fetchall() for query in (_SHAPE, _BEYOND, _ROWS)
            )
        with start_service(postgres=server) as service:
            yield Adopted(service, server, shape, beyond, rows)
    finally:
        server.stop(hurry=True)


def test_the_table_stays_as_it_was(adopted: Adopted) -> None:
    assert adopted.service.sql(_SHAPE) == adopted.shape
    assert adopted.service.sql(_BEYOND) == adopted.beyond
    before = {row[0]: row for row in adopted.rows}
    after = {row[0]: row for row in adopted.service.sql(_ROWS)}
    assert {trace_id: after[trace_id] for trace_id in before} == before


def test_its_rows_are_served(adopted: Adopted) -> None:
    promises = Promises(adopted.service)
    with adopted.service.client() as client:
        body = promises.held(client.get("/api/audit?session_id=legacy&limit=1000"), 200)
        assert len(body["data"]) == 100
        times = [entry["timestamp"] for entry in body["data"]]
        assert times == sorted(times, reverse=True)
        found = {entry["trace_id"] for entry in body["data"]}
        assert found < {str(row[0]) for row in adopted.rows}
        for status, count in EXPECTED.items():
            query = {"session_id": "legacy", "filter": status, "limit": 1000}
            page = promises.held(client.get("/api/audit", params=query), 200)
            assert len(page["data"]) == count, status
            assert {entry["state"] for entry in page["data"]} == {status}
        page = promises.held(client.get("/api/audit?filter=G8_unknown_action&limit=1000"), 200)
        mine = [entry for entry in page["data"] if entry["session_id"] == "legacy"]
        assert len(mine) == 20
        page = promises.held(client.get("/api/audit?reason_code=OLD_CODE&limit=1000"), 200)
        assert {entry["state"] for entry in page["data"]} == {"BLOCKED"}
        assert len(page["data"]) == 20


def test_the_other_service_goes_on_writing(adopted: Adopted) -> None:
    promises = Promises(adopted.service)
    session = f"other-{uuid.uuid4()}"
    trace_ids = [str(uuid.uuid4()) for _ in range(3)]
    for trace_id, codes in zip(trace_ids, ("[]", '["E12_timeout"]', None), strict=True):
        adopted.as_other_service(
            "INSERT INTO audit_logs (trace_id, reason_codes, session_id, user_ip)"
            " VALUES (%s, %s::jsonb, %s, '203.0.113.9')",
            [trace_id, codes, session],
        )
    with adopted.service.client() as client:
        query = {"session_id": session}
        listed = promises.held(client.get("/api/audit", params=query), 200)["data"]
        assert [entry["trace_id"] for entry in listed] == trace_ids[::-1]
        assert {entry["user_ip"] for entry in listed} == {"203.0.113.9"}
        query["filter"] = "E12_timeout"
        listed = promises.held(client.get("/api/audit", params=query), 200)["data"]
        assert [entry["trace_id"] for entry in listed] == [trace_ids[1]]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        adopted.as_other_service("UPDATE audit_logs SET session_id = %s", ["forged"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        adopted.as_other_service("SELECT %s FROM audit_logs", ["read"])


def test_rows_of_ours_fit_the_narrow_columns(adopted: Adopted) -> None:
    session = "s" * 120
    with adopted.service.client() as client:
        answer = client.post("/api/execute", json={"command": "TRUE", "session_id": session})
        assert answer.status_code == 200
        found = adopted.service.sql(
            "SELECT l.session_id, t.session_id FROM audit_logs l JOIN audit_traces t"
            " USING (trace_id) WHERE trace_id = %s",
            [answer.json()["trace_id"]],
        )
        assert found == [(session[:64], session)]
        listed = client.get("/api/audit", params={"session_id": session}).json()["data"]
        assert [entry["session_id"] for entry in listed] == [session]


def test_no_row_can_be_changed_or_removed(adopted: Adopted) -> None:
    for statement in (
        "UPDATE audit_logs SET session_id = 'forged'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "UPDATE audit_traces SET status = 'APPROVED'",
        "DELETE FROM audit_traces",
        "DELETE FROM audit_trace_codes",
    ):
        with pytest.raises(psycopg.Error) as refusal:
            adopted.service.sql(statement)
        assert refusal.value.sqlstate in ("23001", "42501"), statement
        with (
            adopted.service.connect("techno_app") as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (
            "trace_id uuid PRIMARY KEY, reason_codes jsonb, session_id text, user_ip text",
            "timestamp",
        ),
        (
            'trace_id text PRIMARY KEY, "timestamp" timestamptz, reason_codes jsonb,'
            " session_id text, user_ip text",
            "trace_id (uuid)",
        ),
        (
            'trace_id uuid, "timestamp" timestamptz, reason_codes jsonb, session_id text,'
            " user_ip text",
            "not its primary key",
        ),
    ],
    ids=["a column is missing", "another type", "no primary key"],
)
def test_another_table_of_that_name_is_refused_untouched(
    adopted: Adopted, columns: str, complaint: str
) -> None:
    name = f"unfit_{uuid.uuid4().hex[:8]}"
    adopted.service.sql(f"CREATE DATABASE {name}")
    given: dict[str, Any] = adopted.server.connection(OWNER_ROLE, name)
    with psycopg.connect(**given, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE audit_logs ({columns})")  # type: ignore[arg-type]
        environment = adopted.service.environment
        environment["DATABASE_URL"] = environment["TECHNO_MIGRATION_DATABASE_URL"] = (
            isolation.with_database(environment["TECHNO_MIGRATION_DATABASE_URL"], name)
        )
        done = databases.manage(environment, "prepare_database", "-v", "0", check=False)
        assert done.returncode != 0
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            " AND table_name LIKE 'audit%'"
        ).fetchall()
        assert tables == [("audit_logs",)]
