"""The portal while PostgreSQL is away: a page that says so, and the portal again afterwards."""

from __future__ import annotations

import os
import re
import signal
from contextlib import closing

import httpx
import pytest

from techno.processes import wait_until
from tests.service import Service, Services

pytestmark = pytest.mark.slow
DEADLINE_S = 1.0
BACK_WITHIN_S = 60.0


def sign_in(service: Service) -> httpx.Client:
    """Return a browser in which the first person is signed in."""
    password = re.search(r"Password +(\S+)", service.full_output)
    assert password is not None
    browser = httpx.Client(base_url=service.url, timeout=30.0)
    browser.get("/admin/login/")
    form = {
        "username": "admin",
        "password": password.group(1),
        "csrfmiddlewaretoken": browser.cookies["csrftoken"],
    }
    assert browser.post("/admin/login/?next=/admin/", data=form).status_code == 302
    return browser


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
