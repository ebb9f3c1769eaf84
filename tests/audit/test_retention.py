"""Old months leave, personal values are erased; the proof stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.log import run_action, verify, wait_until_sealed
from tests.service import Service, Services

pytestmark = pytest.mark.slow
VERIFIER = Path(__file__).parents[2] / "audit" / "verify.py"


def verify_bundle(path: Path) -> str:
    """Run the standalone verifier, isolated from this project; return what it says."""
    done = subprocess.run(
        [sys.executable, "-I", str(VERIFIER), str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def history(start_service: Services) -> Iterator[Service]:
    """A service whose database holds a hundred days of made-up history."""
    with start_service(embedded=True) as service:
        service.sql("INSERT INTO audit_simulation VALUES ('techno-test-database')")
        service.manage("audit", "simulate", "--rows", "5000", "--days", "100")
        service.manage("audit", "checkpoint")
        yield service


def test_made_up_history_goes_into_test_databases_only(service: Service) -> None:
    refused = service.manage("audit", "simulate", "--rows", "1", check=False)

    assert refused.returncode != 0
    assert "nothing was written" in refused.stderr


def test_old_months_leave_for_bundles(history: Service, tmp_path: Path) -> None:
    archived = history.sql("SELECT count(*) FROM audit_archives")[0][0]
    said = history.manage("audit", "archive", str(tmp_path), "--older-than-days", "40").stdout
    bundles = sorted(tmp_path.glob("*.zip"))

    if not archived:  # in another order, another test was the first to archive
        assert bundles, said
    left = history.sql("SELECT min(timestamp) > now() - interval '71 days' FROM audit_logs")
    assert left == [(True,)]
    for bundle in bundles:
        assert "OK" in verify_bundle(bundle)
    code, report = verify(history)
    assert code == 0, report
    assert f"archived {history.sql('SELECT sum(row_count) FROM audit_archives')[0][0]} " in report
    assert history.sql("SELECT count(*) FROM audit_traces WHERE action = 'audit.archive'") == (
        history.sql("SELECT count(*) FROM audit_archives")
    )
    again = history.manage("audit", "archive", str(tmp_path), "--older-than-days", "40").stdout
    assert ".zip" not in again, "a month is archived once"


def test_an_archive_that_nobody_recorded_is_damage(history: Service, tmp_path: Path) -> None:
    """Who drops a month and claims that it was archived needs the audit row that says so."""
    history.manage("audit", "archive", str(tmp_path), "--older-than-days", "40")
    with history.connect() as owner:
        owner.execute("UPDATE audit_archives SET sha256 = 'x' || sha256")
        code, report = verify(history)
        owner.execute("UPDATE audit_archives SET sha256 = substr(sha256, 2)")

    assert code == 1, report
    assert "deleted" in report


def test_personal_values_are_erased_provably(history: Service, tmp_path: Path) -> None:
    reason = "addresses are kept for ten days"
    history.manage("audit", "redact", "--older-than-days", "10", "--reason", reason)

    assert history.sql(
        "SELECT count(*) FROM audit_traces WHERE timestamp < now() - interval '11 days' "
        "AND (user_ip <> '' OR session_id <> '' OR user_agent <> '' OR salt <> '')"
    ) == [(0,)]
    code, report = verify(history)
    assert code == 0, report
    bundle = tmp_path / "log.zip"
    history.manage("audit", "export", str(bundle))
    assert "OK" in verify_bundle(bundle)
    # An erasure off record is damage.
    with history.connect() as owner:
        owner.execute("CREATE TEMP TABLE kept AS SELECT * FROM audit_redactions")
        owner.execute("UPDATE audit_redactions SET recorded_in = gen_random_uuid()")
        code, report = verify(history)
        owner.execute(
            "UPDATE audit_redactions x SET recorded_in = k.recorded_in FROM pg_temp.kept k "
            "WHERE k.trace_id = x.trace_id"
        )
    assert code == 1
    assert "off record" in report


def test_erasure_changes_nothing_else(history: Service) -> None:
    """The one door in the trigger lets nothing through but the erasure of personal values."""
    with history.connect() as owner:
        for assignment in ("reason_codes = '[\"X\"]'", "user_ip = '10.9.9.9'", "timestamp = now()"):
            with owner.transaction(force_rollback=True):
                owner.execute("SELECT set_config('techno.redaction', 'on', true)")
                with pytest.raises(Exception, match="audit rows never change"):
                    owner.execute(f"UPDATE audit_logs SET {assignment}")


def test_an_export_of_a_time_range(history: Service, tmp_path: Path) -> None:
    with history.client() as client:
        first = run_action(client)
        wait_until_sealed(history, first["trace_id"])
    bundle = tmp_path / "range.zip"
    history.manage("audit", "export", str(bundle), "--since", first["ts_utc"])

    assert first["trace_id"] in _rows(bundle)
    assert "OK" in verify_bundle(bundle)
    refused = history.manage("audit", "export", str(bundle), check=False)
    assert "never overwritten" in refused.stderr


def _rows(bundle: Path) -> str:
    import zipfile

    with zipfile.ZipFile(bundle) as archive:
        return archive.read("rows.jsonl").decode()
