"""A superuser alters the log past triggers and privileges; verification says what and where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.audit.log import intruder, run_action, verify, wait_until_sealed
from tests.service import Service, Services

pytestmark = pytest.mark.slow


@contextmanager
def signed_log(start_service: Services) -> Iterator[Service]:
    """A service of our own with twenty sealed and signed rows."""
    with start_service(embedded=True) as service:
        with service.client() as client:
            for _ in range(20):
                last = run_action(client)["trace_id"]
        wait_until_sealed(service, last)
        service.manage("audit", "checkpoint")
        code, said = verify(service)
        assert code == 0, said
        yield service


@pytest.fixture(scope="module")
def log(start_service: Services) -> Iterator[Service]:
    """One log for all who undo what they did to it: tests run in any order."""
    with signed_log(start_service) as service:
        yield service


def test_rows_do_not_change_for_the_running_role_nor_for_their_owner(log: Service) -> None:
    for role in ("techno_app", "techno_owner"):
        for table in ("audit_logs", "audit_traces", "audit_leaves", "audit_nodes"):
            column = "hash" if table in ("audit_leaves", "audit_nodes") else "trace_id"
            for statement in (
                f"UPDATE {table} SET {column} = {column}",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
            ):
                with log.connect(role) as connection, pytest.raises(psycopg.Error) as refusal:
                    connection.execute(statement)
                wanted = "42501" if role == "techno_app" else "23001"
                assert refusal.value.sqlstate == wanted, (role, statement)


def test_a_changed_row(log: Service) -> None:
    with intruder(log) as superuser:
        superuser.execute(
            "UPDATE audit_logs SET reason_codes = '[\"E0_nonzero_exit\"]' WHERE trace_id = "
            "(SELECT trace_id FROM audit_leaves WHERE leaf_index = 5)"
        )
        code, said = verify(log)
        superuser.execute(
            "UPDATE audit_logs SET reason_codes = '[]' WHERE trace_id = "
            "(SELECT trace_id FROM audit_leaves WHERE leaf_index = 5)"
        )
    assert code == 1, said
    assert "changed" in said
    assert "leaf 5:" in said


def test_a_changed_companion(log: Service) -> None:
    change = (
        "UPDATE audit_traces SET principal_label = {} WHERE trace_id = "
        "(SELECT trace_id FROM audit_leaves WHERE leaf_index = 3)"
    )
    with intruder(log) as superuser:
        superuser.execute(change.format("principal_label || ', somebody else'"))
        code, said = verify(log)
        superuser.execute(change.format("split_part(principal_label, ', somebody else', 1)"))
    assert code == 1, said
    assert "changed" in said
    assert "leaf 3:" in said


def test_a_deleted_row(log: Service) -> None:
    with intruder(log) as superuser:
        superuser.execute(
            "CREATE TEMP TABLE gone AS SELECT * FROM audit_logs WHERE trace_id = "
            "(SELECT trace_id FROM audit_leaves WHERE leaf_index = 7)"
        )
        superuser.execute(
            "DELETE FROM audit_logs WHERE trace_id IN (SELECT trace_id FROM pg_temp.gone)"
        )
        code, said = verify(log)
        superuser.execute("INSERT INTO audit_logs SELECT * FROM pg_temp.gone")
    assert code == 1, said
    assert "deleted" in said
    assert "leaf 7:" in said


def test_a_row_slipped_in(log: Service) -> None:
    with intruder(log) as superuser:
        superuser.execute(
            "INSERT INTO audit_logs VALUES ('01900000-0000-7000-8000-00000000dead', now(), '[]', "
            "'', '10.0.0.1')"
        )
        code, said = verify(log)
        superuser.execute(
            "DELETE FROM audit_logs WHERE trace_id = '01900000-0000-7000-8000-00000000dead'"
        )
    assert code == 1, said
    assert "inserted" in said
    assert "01900000-0000-7000-8000-00000000dead" in said


def swap(superuser: psycopg.Connection[tuple[object, ...]], one: int, other: int) -> None:
    """Let two leaves stand for each other's rows."""
    superuser.execute("DROP INDEX audit_leaves_trace")
    superuser.execute(
        "UPDATE audit_leaves a SET trace_id = b.trace_id FROM audit_leaves b "
        "WHERE (a.leaf_index, b.leaf_index) IN ((%s, %s), (%s, %s))",
        [one, other, other, one],
    )
    superuser.execute("CREATE UNIQUE INDEX audit_leaves_trace ON audit_leaves (trace_id)")


def test_swapped_rows(log: Service) -> None:
    with intruder(log) as superuser:
        swap(superuser, 9, 10)
        code, said = verify(log)
        swap(superuser, 9, 10)
    assert code == 1, said
    assert "swapped" in said
    assert "leaf 9:" in said


def test_a_wrong_node(log: Service) -> None:
    with intruder(log) as superuser:
        superuser.execute(
            "UPDATE audit_nodes SET hash = sha256(hash) WHERE (level, node_index) = (2, 1)"
        )
        code, said = verify(log)
        (found,) = superuser.execute(
            "SELECT encode(sha256('\\x01'::bytea || string_agg(hash, '' ORDER BY node_index)), "
            "'hex') FROM audit_nodes WHERE level = 1 AND node_index IN (2, 3)"
        ).fetchone() or ("",)
        superuser.execute(
            "UPDATE audit_nodes SET hash = decode(%s, 'hex') WHERE (level, node_index) = (2, 1)",
            [found],
        )
    assert code == 1, said
    assert "tree" in said
    assert "leaves from 4" in said


def test_untouched_again(log: Service) -> None:
    """What other tests did, they undid: the log verifies, so nothing of it was real damage."""
    code, said = verify(log)
    assert code == 0, said


def test_the_end_cut_off(start_service: Services) -> None:
    """Signed rows that are gone; on a log of its own, because nothing brings the leaves back."""
    with signed_log(start_service) as log, intruder(log) as superuser:
        superuser.execute("DELETE FROM audit_leaves WHERE leaf_index >= 15")
        superuser.execute("DELETE FROM audit_nodes WHERE ((node_index + 1) << level::int) > 15")
        superuser.execute(
            "DELETE FROM audit_traces WHERE trace_id NOT IN (SELECT trace_id FROM audit_leaves)"
        )
        superuser.execute(
            "DELETE FROM audit_logs WHERE trace_id NOT IN (SELECT trace_id FROM audit_leaves)"
        )
        superuser.execute("DELETE FROM audit_unsealed")
        superuser.execute("DELETE FROM audit_checkpoints WHERE size > 15")
        superuser.execute("UPDATE audit_tree SET size = 15")
        code, said = verify(log)
    assert code == 1, said
    assert "cut off" in said
    assert "leaf 15:" in said
