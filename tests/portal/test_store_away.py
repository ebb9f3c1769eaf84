"""The portal while PostgreSQL is away: a page that says so, and the portal again afterwards."""

from __future__ import annotations

import os
import signal
from contextlib import closing

import pytest

from techno.processes import wait_until
from tests.portal.outside import sign_in
from tests.service import Services

pytestmark = pytest.mark.slow
DEADLINE_S = 1.0
BACK_WITHIN_S = 60.0


def test_a_frozen_server_is_told_in_time_and_forgotten_when_it_answers(
    start_service: Services,
) -> None:
    with (
        start_service(embedded=True, TECHNO_PORTAL_DEADLINE_S=str(DEADLINE_S)) as service,
        closing(sign_in(service)) as browser,
    ):
        assert browser.get("/admin/").status_code == 200
        frozen = service.postgres_processes()
        for process in frozen:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            away = browser.get("/admin/audit/audittrace/")
        finally:
            for process in frozen:
                os.kill(process.pid, signal.SIGCONT)
        assert away.status_code == 503
        assert away.headers["Retry-After"] == "5"
        assert "script-src 'self'" in away.headers["Content-Security-Policy"]
        assert "PostgreSQL does not answer" in away.text
        assert 'href="/admin/audit/audittrace/"' in away.text
        for internal in ("Traceback", "psycopg", "OperationalError", "SELECT"):
            assert internal not in away.text
        assert wait_until(lambda: browser.get("/admin/").status_code == 200, BACK_WITHIN_S)
        assert browser.get("/admin/audit/audittrace/").status_code == 200
