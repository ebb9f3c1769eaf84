"""What the pages ask of PostgreSQL: a fixed number of statements, and never a count."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.test import Client
from django.urls import reverse

from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from tests.portal.making import client_of, make_run, person, record

Listen = Callable[[], AbstractContextManager[list[str]]]
LEDGER_TABLES = re.compile(r"\b(audit_\w+|command_runs)\b")
#: ``OFFSET 0`` skips nothing: it keeps the planner from merging a subquery.
FORBIDDEN = re.compile(r"\b(COUNT\s*\(|OFFSET\s+(?!0\b))", re.IGNORECASE)
TRACES = reverse("admin:audit_audittrace_changelist")
RUNS = reverse("admin:executor_commandrun_changelist")
#: An id that nothing has. The same in every process: it is part of the tests' names.
NOBODY = uuid.UUID("00000000-0000-7000-8000-0000000000aa")
#: The session and the person.
WHO = 2
#: The names of actions and keys that a filter suggests.
SUGGESTIONS = 2
#: Each page with the statements that it costs beside those two or four.
PAGES = {
    reverse("admin:index"): WHO + 4,
    TRACES: WHO + SUGGESTIONS + 1,
    f"{TRACES}?status=BLOCKED&period=day": WHO + SUGGESTIONS + 1,
    f"{TRACES}?reason_code=E12_timeout": WHO + SUGGESTIONS + 1,
    f"{TRACES}?action=GET_STATUS&key=x&session_id=y&user_ip=z": WHO + SUGGESTIONS + 1,
    f"{TRACES}?q={NOBODY}": WHO + SUGGESTIONS + 1,
    f"{TRACES}?q=run_{NOBODY.hex}": WHO + SUGGESTIONS + 2,
    RUNS: WHO + SUGGESTIONS + 1,
    f"{RUNS}?status=BLOCKED&period=week&action=X&key=y": WHO + SUGGESTIONS + 1,
    f"{RUNS}?status=running": WHO + SUGGESTIONS + 1,
    f"{RUNS}?q={NOBODY}": WHO + SUGGESTIONS + 1,
}


def counts_or_skips(statements: list[str]) -> list[str]:
    """Return the statements about ledgers that count rows or skip over them."""
    return [sql for sql in statements if LEDGER_TABLES.search(sql) and FORBIDDEN.search(sql)]


def filled(client: Client) -> None:
    """Have more than a page of everything."""
    for _row in range(60):
        record(refuse(ReasonCode.E12_TIMEOUT))
        make_run()


@pytest.mark.parametrize(("path", "statements"), PAGES.items())
def test_a_page_costs_so_many_statements_and_none_counts(
    admin_client: Client, listen: Listen, path: str, statements: int
) -> None:
    record(refuse(ReasonCode.E12_TIMEOUT))
    make_run()
    admin_client.get(path)  # what a process asks once is not the page's
    with listen() as heard:
        assert admin_client.get(path).status_code == 200
    assert len(heard) == statements, heard
    assert counts_or_skips(heard) == []


def test_the_number_of_statements_does_not_grow_with_the_rows(
    admin_client: Client, listen: Listen
) -> None:
    filled(admin_client)
    for path in (TRACES, RUNS, reverse("admin:index")):
        with listen() as heard:
            first = admin_client.get(path).content.decode()
        assert len(heard) == PAGES[path]
        assert counts_or_skips(heard) == []
        older = re.search(r'rel="next" href="([^"]+)"', first)
        if older is None:
            continue
        with listen() as heard:
            admin_client.get(path + older.group(1).replace("&amp;", "&"))
        assert len(heard) == PAGES[path]
        assert counts_or_skips(heard) == []


@pytest.mark.usefixtures("database")
def test_permissions_cost_three_statements_more(listen: Listen) -> None:
    client = client_of(person("audit.view_audittrace"))
    with listen() as heard:
        assert client.get(TRACES).status_code == 200
    assert len(heard) == PAGES[TRACES] + 3  # their own, their groups', what their groups ask


def test_entries_and_every_other_page_count_no_ledger(admin_client: Client, listen: Listen) -> None:
    run = make_run(stdout="x")
    pages = [
        reverse("admin:audit_audittrace_change", args=[record()]),
        reverse("admin:executor_commandrun_change", args=[run.pk]),
        reverse("admin:executor_commandrun_output", args=[run.pk, "stdout"]),
        *(
            reverse(f"admin:{name}_changelist")
            for name in ("executor_action", "access_apikey", "auth_user", "auth_group")
        ),
        reverse("admin:app_list", args=["audit"]),
    ]
    for path in pages:
        with listen() as heard:
            assert admin_client.get(path).status_code == 200
        assert counts_or_skips(heard) == []


def test_the_watch_would_notice() -> None:
    noticed = ["SELECT COUNT(*) FROM audit_traces", 'SELECT 1 FROM "command_runs" OFFSET 50']
    assert counts_or_skips(noticed) == noticed
