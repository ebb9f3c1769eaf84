"""Whatever another writer puts into the table, it is sealed, proven and shown; nothing stops."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.audit.log import run_action, wait_until_sealed
from tests.portal.outside import sign_in
from tests.service import Service, Services

ODD = {
    "no list": ("now()", '{"code": 1}'),
    "numbers": ("now()", "[1, null, {}]"),
    "a text": ("now()", '"G8_unknown_action"'),
    "deep": ("now()", "[" * 200 + "]" * 200),
    "infinite": ("'infinity'", "[]"),
    "long ago": ("'4712-01-01 00:00:00+00 BC'", "[]"),
    "far away": ("'20000-01-01 00:00:00+00'", "[]"),
    "unknown code": ("now()", '["X1_other_service"]'),
}
ISO_MS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
#: Times that no calendar has are shown at its nearer end.
SHOWN = {
    "infinite": "9999-12-31T23:59:59.999Z",
    "long ago": "0001-01-01T00:00:00.000Z",
    "far away": "9999-12-31T23:59:59.999Z",
}


@pytest.fixture(scope="module")
def visited(start_service: Services) -> Iterator[Service]:
    """A service of our own: times outside of the calendar would show in everybody's first page."""
    with start_service() as service:
        yield service


@pytest.mark.slow
@pytest.mark.parametrize("case", ODD)
def test_an_odd_row_is_sealed_and_proven(visited: Service, case: str) -> None:
    service = visited
    moment, codes = ODD[case]
    trace_id = str(uuid.uuid4())
    service.sql(
        'INSERT INTO audit_logs (trace_id, "timestamp", reason_codes, session_id, user_ip) '
        f"VALUES (%s, {moment}, %s::jsonb, %s, 'elsewhere')",
        [trace_id, codes, f"odd {case}"],
    )

    wait_until_sealed(service, trace_id)
    with service.client() as client:
        wait_until_sealed(service, run_action(client)["trace_id"])  # and those after it
        proof = client.get(f"/api/audit/{trace_id}/proof")
        listed: dict[str, Any] = client.get(
            "/api/audit", params={"session_id": f"odd {case}"}
        ).json()
    assert proof.status_code == 200, proof.text
    entries = [entry for entry in listed["data"] if entry["trace_id"] == trace_id]
    assert len(entries) == 1, listed
    assert ISO_MS.fullmatch(entries[0]["timestamp"]), entries
    assert SHOWN.get(case, entries[0]["timestamp"]) == entries[0]["timestamp"]
    if case in SHOWN:
        with closing(sign_in(service)) as browser:
            page = browser.get(f"/admin/audit/audittrace/{trace_id}/")
        assert page.status_code == 200
        assert SHOWN[case][:10] in page.text
        assert "tells the same" in page.text
