"""A database that was put back to an earlier copy is refused until an operator decides."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.audit.log import run_action, verify, wait_until_sealed
from tests.service import Service, Services

pytestmark = pytest.mark.slow


def probe(service: Service, name: str) -> dict[str, object]:
    with service.client() as client:
        entries = client.get("/api/diagnostic/metrics").json()["data"]
    found: dict[str, object] = next(entry for entry in entries if entry["action"] == name)
    return found


def test_a_rollback_is_refused_and_then_decided(start_service: Services) -> None:
    with start_service(embedded=True) as service:
        with service.client() as client:
            wait_until_sealed(service, run_action(client)["trace_id"])
        service.manage("audit", "checkpoint")
        service.stop()
        data = service.var_dir / "postgres"
        copy = service.directory / "copy"
        subprocess.run(["cp", "-a", str(data), str(copy)], check=True)  # owners included

        service.start()
        with service.client() as client:
            for _ in range(5):
                last = run_action(client)["trace_id"]
        wait_until_sealed(service, last)
        service.manage("audit", "checkpoint")
        service.stop()
        shutil.rmtree(data)
        shutil.move(copy, data)
        service.start()

        refused = service.manage("audit", "checkpoint", check=False)
        assert refused.returncode != 0
        assert "restored from an older copy" in refused.stderr
        assert "audit accept-database" in refused.stderr
        assert verify(service)[0] == 1
        assert probe(service, "diagnostic.proof")["state"] == "BLOCKED"

        without_reason = service.manage("audit", "accept-database", "--reason", "no", check=False)
        assert without_reason.returncode != 0
        reason = "restored on purpose by this test"
        service.manage("audit", "accept-database", "--reason", reason)

        service.manage("audit", "checkpoint")
        code, said = verify(service)
        assert code == 0, said
        assert service.sql(
            "SELECT detail ->> 'reason' FROM audit_traces WHERE action = 'audit.accept_database'"
        ) == [(reason,)]


def test_a_lost_memory_is_refused(start_service: Services) -> None:
    """Whoever removes what this host remembers cannot make it sign another history."""
    with start_service(embedded=True) as service:
        with service.client() as client:
            wait_until_sealed(service, run_action(client)["trace_id"])
        service.manage("audit", "checkpoint")
        (service.var_dir / "audit" / "last_checkpoint").unlink()
        with service.client() as client:
            run_action(client)

        refused = service.manage("audit", "checkpoint", check=False)

        assert refused.returncode != 0
        assert "memory outside of the database was removed" in refused.stderr
