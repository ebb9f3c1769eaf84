"""Refused pages and stopped sign-ins at a running service with two web processes."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from techno.processes import wait_until
from tests.portal_session import browsers, send
from tests.service import Service, Services

pytestmark = pytest.mark.slow
PEOPLE = "/admin/auth/user/"
LOGIN = "/account/login/"
ASKED = 30
#: The keeper tells what a minute came to when it is settled.
TOLD_WITHIN_S = 150


@pytest.fixture(scope="module")
def busy(start_service: Services) -> Iterator[Service]:
    """A service whose embedded server a test may freeze."""
    with start_service(embedded=True, TECHNO_WORKERS="2") as service:
        assert len(service.web_workers()) == 2
        yield service


@contextmanager
def connections_of(
    service: Service, name: str, *, signed_in: bool = True, count: int = 6
) -> Iterator[list[httpx.Client]]:
    """Give browsers of the same person, or of a stranger, each with a connection of its own."""
    (first,) = browsers(service, [name], permissions=()).values()
    with ExitStack() as stack:
        cookies = dict(stack.enter_context(first).cookies)
        if not signed_in:
            del cookies["sessionid"]
        yield [
            stack.enter_context(httpx.Client(base_url=service.url, cookies=cookies, timeout=30))
            for _ in range(count)
        ]


def rows(service: Service, action: str, code: str, who: str) -> list[tuple[str, str, str, int]]:
    """Return minute, trace id, path and what was counted, of rows that stand for refusals."""
    return service.sql(  # type: ignore[return-value]
        "SELECT date_trunc('minute', l.timestamp)::text, l.trace_id::text, t.path, m.refused"
        " FROM audit_logs AS l JOIN audit_traces AS t USING (trace_id)"
        " JOIN access_refused_minutes AS m ON m.trace_id = l.trace_id AND m.name NOT LIKE 'told|%%'"
        " WHERE t.action = %s AND l.reason_codes = jsonb_build_array(%s::text)"
        " AND t.principal_label = %s",
        [action, code, who],
    )


def told(service: Service, who: str) -> Counter[str]:
    """Return what later rows say of earlier ones; each says it once."""
    found = service.sql(
        "SELECT detail->>'earlier_row', (detail->>'earlier_refused')::int FROM audit_traces"
        " WHERE principal_label = %s AND detail->>'earlier_row' IS NOT NULL",
        [who],
    )
    assert len(found) == len(dict(found))
    return Counter(dict(found))


def refused_in_metrics(service: Service, wrong: str) -> float:
    text = httpx.get(f"{service.url}/metrics").text
    name = re.escape(f'techno_sign_ins_refused_total{{wrong="{wrong}"}}')
    found = re.search(rf"^{name} ([\d.e+]+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_refused_pages_have_one_row_a_minute_and_their_count_is_told(busy: Service) -> None:
    with connections_of(busy, "curious") as clients:
        for number in range(ASKED):
            answer = clients[number % len(clients)].get(PEOPLE, params={"q": "whispered"})
            assert answer.status_code == 403
    found = rows(busy, "page.open", "G2_scope_denied", "curious")
    assert len({minute for minute, *_ in found}) == len(found) <= 2
    assert {path for _, _, path, _ in found} == {PEOPLE}
    assert sum(count + 1 for *_, count in found) == ASKED
    assert busy.sql("SELECT 1 FROM audit_traces WHERE audit_traces::text LIKE '%whispered%'") == []
    expected = Counter({trace_id: count for _, trace_id, _, count in found if count})
    assert wait_until(lambda: told(busy, "curious") == expected, TOLD_WITHIN_S)


def test_stopped_sign_ins_have_one_row_a_minute_and_are_counted_by_all(busy: Service) -> None:
    with connections_of(busy, "visitor", signed_in=False) as clients:
        for number in range(ASKED):
            client = clients[number % len(clients)]
            answer = send(client, LOGIN, login="nobody-at-all", password=f"wrong {number}")
            assert answer.status_code in {200, 429}
    found = rows(busy, "person.sign_in", "G13_rate_limited", "")
    assert len({minute for minute, *_ in found}) == len(found) <= 2
    stopped = sum(count + 1 for *_, count in found)
    wrong = busy.sql("SELECT count(*) FROM audit_traces WHERE detail->>'failed' = 'password'")[0][0]
    assert stopped > 0
    assert stopped + wrong == ASKED
    assert refused_in_metrics(busy, "too many attempts") == stopped
    assert refused_in_metrics(busy, "password") == wrong


def test_without_the_store_a_refused_page_is_503(busy: Service) -> None:
    with connections_of(busy, "patient", count=1) as (browser,):
        assert browser.get(PEOPLE).status_code == 403
        processes = busy.postgres_processes()
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            answer = browser.get(PEOPLE)
        finally:
            for process in processes:
                os.kill(process.pid, signal.SIGCONT)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert wait_until(lambda: browser.get(PEOPLE).status_code == 403, 60)
