"""Auditors verify and export the log from the portal: a running service, from outside."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from techno.processes import descendants, process_table, read_arguments, wait_until
from tests.audit.log import intruder, run_action, wait_until_sealed
from tests.portal.outside import sign_in
from tests.service import Service, Services

pytestmark = pytest.mark.slow
VERIFY = "/admin/audit/audittrace/verify/"
EXPORT = "/admin/audit/audittrace/export/"
VERIFIER = Path(__file__).resolve().parents[2] / "audit" / "verify.py"
ENDS_WITHIN_S = 60.0
ROWS = 12


@pytest.fixture(scope="module")
def service(start_service: Services) -> Iterator[Service]:
    """A service of our own, with some sealed rows."""
    with start_service(embedded=True) as started:
        with started.client() as client:
            for _ in range(ROWS):
                last = run_action(client)["trace_id"]
        wait_until_sealed(started, last)
        yield started


@pytest.fixture
def auditor(service: Service) -> Iterator[httpx.Client]:
    """A browser of somebody who may verify and export."""
    with closing(sign_in(service)) as browser:
        yield browser


def send(browser: httpx.Client, path: str, **fields: str) -> httpx.Response:
    """Send the form of a page."""
    token = browser.cookies["csrftoken"]
    return browser.post(path, data={"csrfmiddlewaretoken": token, **fields})


def ended(service: Service) -> list[tuple[Any, ...]]:
    """Return outcome and result of the verifications that ended, newest first."""
    return service.sql(
        "SELECT outcome, result FROM audit_verifications WHERE state = 'ended' "
        "ORDER BY ended_at DESC"
    )


def verify(service: Service, browser: httpx.Client) -> tuple[str, dict[str, Any]]:
    """Begin a verification by the page and return how it ended."""
    before = len(ended(service))
    assert send(browser, VERIFY).status_code == 302
    assert wait_until(lambda: len(ended(service)) > before, ENDS_WITHIN_S), service.full_output
    outcome, result = ended(service)[0]
    return outcome, result


def test_a_whole_log_is_found_whole_and_both_ends_are_on_record(
    service: Service, auditor: httpx.Client
) -> None:
    if not ended(service):
        assert "None yet." in auditor.get(VERIFY).text
    outcome, result = verify(service, auditor)
    assert (outcome, result["findings"]) == ("whole", 0)
    assert result["sealed"] >= ROWS
    page = auditor.get(VERIFY).text
    assert "complete and unaltered" in page
    assert f'href="/admin/audit/audittrace/{result["trace_id"]}/"' in page
    rows = service.sql(
        "SELECT action, status, principal_kind, detail ->> 'outcome' FROM audit_traces "
        "WHERE action LIKE 'audit.verify%%' ORDER BY trace_id DESC LIMIT 2"
    )
    assert rows == [
        ("audit.verify.end", "APPROVED", "system", "whole"),
        ("audit.verify", "APPROVED", "person", None),
    ]


def test_damage_is_told_with_its_leaf(service: Service, auditor: httpx.Client) -> None:
    change = (
        "UPDATE audit_logs SET session_id = %s WHERE trace_id = "
        "(SELECT trace_id FROM audit_leaves WHERE leaf_index = 5)"
    )
    ((kept,),) = service.sql(
        "SELECT session_id FROM audit_logs WHERE trace_id = "
        "(SELECT trace_id FROM audit_leaves WHERE leaf_index = 5)"
    )
    with intruder(service) as superuser:
        superuser.execute(change, ["forged"])
        superuser.commit()
        try:
            outcome, result = verify(service, auditor)
        finally:
            superuser.execute(change, [kept])
            superuser.commit()
    assert outcome == "damaged"
    assert {found["leaf"] for found in result["damage"]} == {5}
    page = auditor.get(VERIFY).text
    assert "The companion" in page or "the row of leaf 5" in page
    ((status, codes),) = service.sql(
        "SELECT status, reason_codes FROM audit_traces WHERE trace_id = %s::uuid",
        [result["trace_id"]],
    )
    assert (status, codes) == ("BLOCKED", ["E_unknown"])


def test_there_is_one_at_a_time_and_it_is_shown_while_it_goes_on(
    service: Service, auditor: httpx.Client
) -> None:
    before = len(ended(service))
    service.sql(
        "INSERT INTO audit_verifications (id, asked_at, asked_by, state, open, seen_at, host, "
        "done, total, outcome, result) VALUES (gen_random_uuid(), now(), 'somebody', 'running', "
        "true, now() + interval '1 hour', '', 250, 1000, '', '{}')"
    )
    try:
        page = auditor.get(VERIFY).text
        assert "250 of 1,000 rows are hashed, 25 %." in page
        assert "Verify now" not in page
        (address,) = re.findall(r'data-live="([^"]+)"', page)
        told = auditor.get(address).json()
        assert (told["state"], told["done"], told["total"]) == ("running", 250, 1000)
        assert send(auditor, VERIFY).status_code == 302
        assert "There is one already" in auditor.get(VERIFY).text
    finally:
        # As if its process were gone: the keeper closes it, and the page can begin another.
        service.sql("UPDATE audit_verifications SET seen_at = now() - interval '1 hour' WHERE open")
    assert wait_until(lambda: len(ended(service)) > before, ENDS_WITHIN_S)
    assert ended(service)[0][0] == "interrupted"
    page = auditor.get(VERIFY).text
    assert "Verify now" in page
    assert "verify again" in page


def test_a_verification_ends_with_the_keeper(service: Service, auditor: httpx.Client) -> None:
    """A process that is killed leaves no request open for ever."""

    def carriers() -> list[int]:
        below = descendants(service.process.pid, process_table())
        return [row.pid for row in below if "--for-request" in read_arguments(row.pid)]

    before = len(ended(service))
    assert send(auditor, VERIFY).status_code == 302
    assert wait_until(lambda: bool(carriers()), ENDS_WITHIN_S)
    for pid in carriers():
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: len(ended(service)) > before, ENDS_WITHIN_S + 30)
    assert ended(service)[0][0] in ("interrupted", "whole")


def test_a_bundle_is_downloaded_and_verified_elsewhere(
    service: Service, auditor: httpx.Client, tmp_path: Path
) -> None:
    assert "Download the bundle" in auditor.get(EXPORT).text
    answer = send(auditor, EXPORT)
    assert answer.headers["Content-Type"] == "application/zip"
    assert "attachment" in answer.headers["Content-Disposition"]
    bundle = tmp_path / "log.zip"
    bundle.write_bytes(io.BytesIO(answer.content).getvalue())
    done = subprocess.run(
        [sys.executable, str(VERIFIER), str(bundle)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ((path, kind, rows),) = service.sql(
        "SELECT path, principal_kind, (detail ->> 'rows')::int FROM audit_traces "
        "WHERE action = 'audit.export' ORDER BY trace_id DESC LIMIT 1"
    )
    assert (path, kind) == (EXPORT, "person")
    assert rows >= ROWS


def test_a_time_without_rows_and_a_time_that_ends_before_it_begins(
    service: Service, auditor: httpx.Client
) -> None:
    before = service.sql("SELECT count(*) FROM audit_traces WHERE action = 'audit.export'")
    auditor.get(EXPORT)
    empty = send(auditor, EXPORT, since="2001-01-01T00:00", until="2001-01-02T00:00")
    assert "No sealed row is of this time" in empty.text
    wrong = send(auditor, EXPORT, since="2001-01-02T00:00", until="2001-01-01T00:00")
    assert "This is not after the beginning" in wrong.text
    assert service.sql("SELECT count(*) FROM audit_traces WHERE action = 'audit.export'") == before
