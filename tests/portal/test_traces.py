"""The pages of the audit log."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.models import AuditTrace
from techno.access.issue import issue_key
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from tests.portal.making import make_run, record, unique

LIST = reverse("admin:audit_audittrace_changelist")
TRACE_ID = re.compile(r'data-copy="([0-9a-f-]{36})"')


def shown(client: Client, **query: str) -> list[str]:
    """Return the ids of the traces that a list shows, in its order."""
    response = client.get(LIST, query)
    assert response.status_code == 200
    return TRACE_ID.findall(response.content.decode())


def page_of(client: Client, trace_id: str) -> str:
    response = client.get(reverse("admin:audit_audittrace_change", args=[trace_id]))
    assert response.status_code == 200
    return response.content.decode()


def foreign_row(codes: str = "[]", *, at: datetime | None = None, session: str = "") -> str:
    """Insert a row as another service does: five columns and a random id."""
    trace_id = str(uuid.uuid4())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_logs VALUES (%s, %s, %s::jsonb, %s, '203.0.113.5')",
            [trace_id, at or timezone.now(), codes, session],
        )
    return trace_id


def test_newest_first_with_everything_a_row_tells(admin_client: Client) -> None:
    session = unique("session")
    older = record(session_id=session, action="GET_STATUS")
    newer = record(refuse(ReasonCode.E12_TIMEOUT), session_id=session, action="SLEEPER")
    html = admin_client.get(LIST, {"session_id": session}).content.decode()
    assert TRACE_ID.findall(html) == [newer, older]
    for told in ("SLEEPER", "BLOCKED", "E12_timeout", session, "192.0.2.7", "200", " ms"):
        assert told in html
    row = AuditTrace.objects.get(trace_id=newer)
    utc = f"{row.timestamp:%Y-%m-%d %H:%M:%S}.{row.timestamp.microsecond // 1000:03d}"
    assert f'datetime="{utc.replace(" ", "T")}Z" title="{utc} UTC"' in html


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"status": "BLOCKED"}, "bc"),
        ({"status": "APPROVED"}, "a"),
        ({"reason_code": "E12_timeout"}, "b"),
        ({"reason_code": "E7_output_truncated"}, "b"),
        ({"action": "TWO"}, "b"),
        ({"key": "PREFIX01"}, "c"),
        ({"user_ip": "192.0.2.7"}, "abc"),
        ({"user_ip": "192.0.2.8"}, ""),
        ({"period": "hour"}, "abc"),
        ({"status": "BLOCKED", "action": "THREE"}, "c"),
        ({"status": "NEUTRAL"}, ""),
    ],
)
def test_filters(admin_client: Client, filters: dict[str, str], found: str) -> None:
    session = unique("session")
    key = Principal(PrincipalKind.API_KEY, "PREFIX01", "a key")
    timeout = refuse(ReasonCode.E12_TIMEOUT).adding(ReasonCode.E7_OUTPUT_TRUNCATED)
    made = {
        record(session_id=session, action="ONE"): "a",
        record(timeout, session_id=session, action="TWO"): "b",
        record(
            refuse(ReasonCode.G8_UNKNOWN_ACTION), session_id=session, action="THREE", principal=key
        ): "c",
    }
    ids = shown(admin_client, session_id=session, **filters)
    assert {made[trace_id] for trace_id in ids} == set(found)


def test_a_period_from_and_to(admin_client: Client) -> None:
    session = unique("session")
    start = datetime(2020, 5, 1, tzinfo=UTC)
    rows = [foreign_row(at=start + timedelta(days=day), session=session) for day in range(4)]
    between = {"since": "2020-05-02T00:00", "until": "2020-05-04T00:00:00.000Z"}
    assert shown(admin_client, session_id=session, **between) == rows[2:0:-1]
    assert shown(admin_client, session_id=session, until="2020-05-01T00:00:01") == rows[:1]
    html = admin_client.get(LIST, {**between, "since": "2021-01-01T00:00"}).content.decode()
    assert "must lie before" in html


def test_search_finds_by_each_identity(admin_client: Client) -> None:
    session, execution = unique("session"), f"run_{uuid.uuid4().hex}"
    trace = record(session_id=session, execution_id=execution)
    record(session_id=unique("session"))
    for q in (trace, f"  {trace.upper()} ", trace.replace("-", ""), execution, session):
        assert shown(admin_client, q=q) == [trace]
    odd = f"run_{uuid.uuid4().hex}"
    named_like_a_run = record(session_id=odd)
    assert shown(admin_client, q=odd) == [named_like_a_run]
    assert shown(admin_client, q=str(uuid.uuid4())) == []


def test_older_leads_through_every_row_once_also_where_times_are_equal(
    admin_client: Client,
) -> None:
    session = unique("session")
    at = datetime(2021, 3, 1, 12, tzinfo=UTC)
    made = {foreign_row(at=at + timedelta(hours=n // 60), session=session) for n in range(120)}
    seen: list[str] = []
    path = f"{LIST}?session_id={session}"
    for _page in range(10):
        html = admin_client.get(path).content.decode()
        seen += TRACE_ID.findall(html)
        older = re.search(r'rel="next" href="([^"]+)"', html)
        if older is None:
            break
        path = LIST + unescape(older.group(1))
        assert f"session_id={session}" in path
    assert len(seen) == 120
    assert set(seen) == made
    assert "This is the oldest." in html
    newest = re.search(r'href="(\?[^"]+)">Newest', html)
    assert newest is not None
    assert "cursor" not in newest.group(1)


def test_a_cursor_that_is_not_ours_is_explained(admin_client: Client) -> None:
    html = admin_client.get(LIST, {"cursor": "made.up"}).content.decode()
    assert "not valid any more" in html
    assert not TRACE_ID.findall(html)


def test_filters_that_make_no_sense_are_explained(admin_client: Client) -> None:
    for query in ({"status": "MAYBE"}, {"reason_code": "nope"}, {"since": "soon"}, {"q": "\0"}):
        response = admin_client.get(LIST, query)
        assert response.status_code == 200
        assert "errorlist" in response.content.decode()


NAMES = st.sampled_from(
    ["q", "period", "status", "action", "since", "until", "session_id", "cursor", "other"]
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=300)))
def test_no_query_breaks_the_page(admin_client: Client, query: dict[str, str]) -> None:
    assert admin_client.get(LIST, query).status_code == 200


def test_nothing_found_says_what_to_do(admin_client: Client) -> None:
    html = admin_client.get(LIST, {"session_id": unique("nobody")}).content.decode()
    assert "Nothing matches these filters." in html
    assert f'<a href="{LIST}">Clear the filters</a>' in html


def test_the_page_of_a_trace(admin_client: Client) -> None:
    issued = issue_key(label=unique("label"), scopes=["execute"])
    run = make_run()
    verdict = refuse(ReasonCode.E12_TIMEOUT, message="It took too long.")
    trace = record(
        verdict.adding(ReasonCode.E7_OUTPUT_TRUNCATED),
        action="GET_STATUS",
        principal=Principal(PrincipalKind.API_KEY, issued.key.prefix, issued.key.label),
        execution_id=run.execution_id,
        session_id="the session",
        refused_count=7,
    )
    html = unescape(page_of(admin_client, trace))
    for code in (ReasonCode.E12_TIMEOUT, ReasonCode.E7_OUTPUT_TRUNCATED):
        facts = code.value
        assert facts.code in html
        assert facts.meaning in html
        assert facts.remedy in html
    told = ("It took too long.", trace, run.execution_id, issued.key.label, issued.key.prefix)
    told += ("the session", "192.0.2.7", "agent <i>", "POST /api/execute", "refused_count", "7")
    row = AuditTrace.objects.get(trace_id=trace)
    for text in (*told, row.host, row.salt, "api_key", "tells the same"):
        assert text in html
    assert reverse("admin:executor_commandrun_change", args=[run.execution_id]) in html
    assert reverse("admin:access_apikey_change", args=[issued.key.pk]) in html


def test_there_are_no_links_to_what_does_not_exist(admin_client: Client) -> None:
    gone = Principal(PrincipalKind.API_KEY, "GONE0000", "a key of old")
    trace = record(action="NO_LONGER", principal=gone, execution_id="run_of_old")
    html = page_of(admin_client, trace)
    assert "GONE0000" in html
    main = html[html.index("<main") :]
    assert "/admin/access/apikey/" not in main
    assert "/admin/executor/" not in main


@pytest.mark.parametrize(
    ("codes", "status", "told"),
    [
        ("[]", "APPROVED", "external"),
        ('["E0_nonzero_exit"]', "WARNING", "ended with an exit code other than zero"),
        ('["Z9_theirs", 7, null, {"a": 1}]', "BLOCKED", "Not a reason code of this service."),
        ('{"not": "a list"}', "BLOCKED", "nobody defined"),
    ],
)
def test_rows_of_another_writer(admin_client: Client, codes: str, status: str, told: str) -> None:
    trace = foreign_row(codes, session="theirs")
    html = page_of(admin_client, trace)
    assert status in html
    assert told in html
    listed = admin_client.get(LIST, {"q": trace}).content.decode()
    assert TRACE_ID.findall(listed) == [trace]
    assert status in listed


def test_hostile_text_is_shown_and_never_obeyed(admin_client: Client) -> None:
    hostile = f'"><script>alert(1)</script>\u202e\x1b[2J{unique("x")}'
    trace = foreign_row('["<img src=x onerror=alert(1)>"]', session=hostile)
    listed = admin_client.get(LIST, {"q": trace}).content.decode()
    for html in (listed, page_of(admin_client, trace)):
        body = html[html.index("<main") :]
        assert "<script" not in body
        assert "<img" not in body
        assert not {"\x1b", "\u202e"} & set(body)
        assert "⟦U+202E⟧⟦ESC⟧[2J" in html


def test_a_row_that_tells_something_else_than_its_companion_is_pointed_out(
    admin_client: Client,
) -> None:
    trace = AuditTrace.objects.get(trace_id=record(session_id="as it was"))
    from audit.admin.traces import differences

    assert differences(trace) == []
    trace.user_ip = "192.0.2.99"
    trace.session_id = "as it was, and longer than a narrow column"
    assert differences(trace) == ["user_ip"]
    trace.trace_id = uuid.uuid4()
    assert differences(trace) is None
