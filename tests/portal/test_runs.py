"""The pages of command runs, whatever a command printed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse

from executor.admin.runs import HEAD_CHARACTERS
from executor.models import CommandRun
from techno.governance.principal import Principal, PrincipalKind
from techno.governance.reason_codes import ReasonCode
from tests.portal.making import make_run, record, unique

LIST = reverse("admin:executor_commandrun_changelist")
EXECUTION_ID = re.compile(r'data-copy="(run_\w+)"')
HOSTILE = (
    "<script>alert(1)</script>\n</pre><h1>x</h1>\n<img src=x onerror=alert(2)>&lt;b&gt;\n"
    "\x1b[31mred\x1b]8;;http://evil/\x07link\x1b]8;;\x07\n\u202egnp.exe\u202c\u200b\n"
    "over\rwritten\n\ufffd"
)


def shown(client: Client, **query: str) -> list[str]:
    """Return the execution ids that a list shows, in its order."""
    response = client.get(LIST, query)
    assert response.status_code == 200
    return EXECUTION_ID.findall(response.content.decode())


def page_of(client: Client, run: CommandRun) -> str:
    response = client.get(reverse("admin:executor_commandrun_change", args=[run.pk]))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "cba"),
        ({"status": "BLOCKED"}, "b"),
        ({"status": "running"}, "c"),
        ({"action": "ANOTHER"}, "b"),
        ({"period": "hour"}, "cb"),
        ({"since": "2021-01-01T00:00", "until": "2021-01-02T00:00"}, "a"),
    ],
)
def test_newest_first_and_filters(
    admin_client: Client, filters: dict[str, str], found: str
) -> None:
    key = uuid.uuid4().hex[:8]
    made = {
        make_run(key_prefix=key, requested_at=datetime(2021, 1, 1, 5, tzinfo=UTC)).pk: "a",
        make_run(key_prefix=key, status="BLOCKED", action="ANOTHER").pk: "b",
        make_run(key_prefix=key, status="", state="running", duration_ms=None).pk: "c",
    }
    assert "".join(made[pk] for pk in shown(admin_client, key=key, **filters)) == found
    CommandRun.objects.filter(state="running", key_prefix=key).update(state="ended")


def test_search_by_execution_and_by_trace(admin_client: Client) -> None:
    run = make_run()
    assert shown(admin_client, q=run.execution_id) == [run.pk]
    assert shown(admin_client, q=str(run.trace_id)) == [run.pk]
    assert shown(admin_client, q="run_of_nobody") == []


def test_older_leads_through_every_run_once(admin_client: Client) -> None:
    key, at = uuid.uuid4().hex[:8], datetime(2021, 2, 1, tzinfo=UTC)
    made = [
        make_run(key_prefix=key, requested_at=at + timedelta(minutes=n // 40)).pk
        for n in range(110)
    ]
    path, seen = f"{LIST}?key={key}", []
    for _page in range(9):
        html = admin_client.get(path).content.decode()
        seen += EXECUTION_ID.findall(html)
        older = re.search(r'rel="next" href="([^"]+)"', html)
        if older is None:
            break
        path = LIST + unescape(older.group(1))
    assert len(seen) == len(set(seen)) == 110
    assert set(seen) == set(made)
    assert "not valid any more" in admin_client.get(LIST, {"cursor": "x"}).content.decode()


def test_a_list_fetches_no_output(
    admin_client: Client, listen: Callable[[], AbstractContextManager[list[str]]]
) -> None:
    make_run(stdout="x" * 1000)
    with listen() as heard:
        admin_client.get(LIST)
    asked = [sql for sql in heard if "command_runs" in sql]
    assert asked
    assert not [sql for sql in asked if "stdout" in sql or "stderr" in sql]


def test_hostile_output_is_text(admin_client: Client) -> None:
    html = page_of(admin_client, make_run(stdout=HOSTILE, stderr=HOSTILE, argv=["/x", "<b>\n"]))
    body = html[html.index("<main") :]
    assert "<script" not in body
    assert "<img" not in body
    assert "<h1>x" not in body
    assert not {"\x1b", "\x07", "\r", "\u202e", "\u200b"} & set(body)
    shown_text = unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", body, re.DOTALL)[0])
    assert shown_text.startswith("<script>alert(1)</script>\n</pre><h1>x</h1>")
    assert "⟦ESC⟧[31mred" in shown_text
    assert "⟦U+202E⟧gnp.exe⟦U+202C⟧⟦U+200B⟧" in shown_text
    assert "over⟦CR⟧written" in shown_text
    assert "&amp;lt;b&amp;gt;" in body
    assert "&lt;b&gt;⟦LF⟧" in body


def test_megabytes_show_their_head_and_say_how_much_more(admin_client: Client) -> None:
    run = make_run(stdout="0123456789abcdef" * 250_000)
    html = page_of(admin_client, run)
    assert len(html) < HEAD_CHARACTERS + 30_000
    assert f"{4_000_000 - HEAD_CHARACTERS:,} more characters are not shown here" in html
    download = reverse("admin:executor_commandrun_output", args=[run.pk, "stdout"])
    assert download in html
    response = admin_client.get(download)
    assert response.content.decode() == run.stdout
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]


def test_only_streams_can_be_downloaded(admin_client: Client) -> None:
    run = make_run(stdout="x")
    for pk, stream in ((run.pk, "argv"), (run.pk, "trace_id"), ("run_nobody", "stdout")):
        path = reverse("admin:executor_commandrun_output", args=[pk, stream])
        assert admin_client.get(path).status_code == 404


def test_the_page_of_a_run(admin_client: Client) -> None:
    run = make_run(
        status="WARNING",
        reason_codes=["E0_nonzero_exit"],
        exit_code=3,
        argv=["/usr/bin/false", "an argument"],
        principal_label="console of the tests",
        truncated=True,
        output_bytes=5 * 1024 * 1024,
        detail="ended early",
    )
    html = unescape(page_of(admin_client, run))
    facts = ReasonCode.E0_NONZERO_EXIT.value
    told = (facts.meaning, facts.remedy, "console of the tests", "ended early", "an argument")
    for text in (*told, str(run.trace_id), "5.0\xa0MB", "Nothing was printed."):
        assert text in html
    assert reverse("admin:audit_audittrace_change", args=[run.trace_id]) not in html


def test_a_run_and_its_trace_lead_to_each_other(admin_client: Client) -> None:
    key = Principal(PrincipalKind.API_KEY, "PREFIX02", "a key")
    execution = f"run_{uuid.uuid4().hex}"
    trace = record(action="GET_STATUS", principal=key, execution_id=execution)
    run = make_run(execution_id=execution, trace_id=trace)
    assert reverse("admin:audit_audittrace_change", args=[trace]) in page_of(admin_client, run)


def test_a_run_under_way_says_so_also_on_the_first_page(admin_client: Client) -> None:
    run = make_run(
        state="running",
        status="",
        duration_ms=None,
        exit_code=None,
        host=unique("host"),
        requested_at=datetime(2019, 1, 1, tzinfo=UTC),
    )
    try:
        assert "has not ended yet" in page_of(admin_client, run)
        first = admin_client.get(reverse("admin:index")).content.decode()
        assert run.host in first
    finally:
        CommandRun.objects.filter(pk=run.pk).update(state="ended", status="BLOCKED")
