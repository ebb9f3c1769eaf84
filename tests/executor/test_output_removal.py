"""Output that is older than it is kept: removed with a row that says so, and nothing else is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditTrace
from executor import output_removal
from executor.models import CommandRun
from executor.output_removal import ACTION, days_kept, remove_old_output
from executor.runs import last_run
from tests.portal.making import client_of, make_run, person, unique

pytestmark = pytest.mark.usefixtures("database")
KEPT_DAYS = 30


@pytest.fixture(autouse=True)
def kept_for(database: None, settings: Any) -> None:
    settings.OUTPUT_KEEP_DAYS = KEPT_DAYS
    while remove_old_output():  # what other tests left
        pass


def ended_run(days_ago: float, **fields: Any) -> CommandRun:
    at = timezone.now() - timedelta(days=days_ago)
    usual = {"stdout": "said\n", "stderr": "err", "output_bytes": 8, "ended_at": at}
    return make_run(requested_at=at, **(usual | fields))


def add_stretch(execution_id: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO command_run_output (execution_id, position, stream, data)"
            " VALUES (%s, 0, 'stdout', 'said')",
            [execution_id],
        )


def has_stretches(execution_id: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM command_run_output WHERE execution_id = %s", [execution_id])
        return cursor.fetchone() is not None


def removals() -> list[AuditTrace]:
    return list(AuditTrace.objects.filter(action=ACTION).order_by("trace_id"))


def test_old_output_is_removed_and_young_output_and_the_rows_stay() -> None:
    old, young = ended_run(KEPT_DAYS + 1), ended_run(KEPT_DAYS - 1)
    silent = ended_run(KEPT_DAYS + 1, stdout="", stderr="", output_bytes=0)
    unended = ended_run(KEPT_DAYS + 1, state="running", ended_at=None)
    for run in (old, young, unended):
        add_stretch(run.pk)
    before = len(removals())
    assert remove_old_output() == 1
    for made, text in ((old, ""), (young, "said\n"), (unended, "said\n")):
        run = CommandRun.objects.get(pk=made.pk)
        assert run.stdout == text
        assert bool(run.output_removed_at) == (text == "")
        assert has_stretches(run.pk) == (text != "")
        names = [field.attname for field in CommandRun._meta.concrete_fields]
        changed = {name for name in names if getattr(run, name) != getattr(made, name)}
        assert changed == ({"stdout", "stderr", "output_removed_at"} if not text else set())
    silent.refresh_from_db()
    assert silent.output_removed_at is None
    old.refresh_from_db()
    assert old.output_removed_at is not None
    assert days_kept(old.ended_at, old.output_removed_at) == KEPT_DAYS + 1
    (row,) = removals()[before:]
    assert (row.status, row.principal_label, row.reason_codes) == ("APPROVED", "keeper", [])
    assert row.detail["runs"] == 1
    assert (row.detail["bytes"], row.detail["kept_days"]) == (8, KEPT_DAYS)
    assert row.detail["first_ended"] == row.detail["last_ended"] == old.ended_at.isoformat()
    assert remove_old_output() == 0
    assert len(removals()) == before + 1
    CommandRun.objects.filter(pk=unended.pk).update(state="ended")


def test_without_the_setting_everything_is_kept(settings: Any) -> None:
    settings.OUTPUT_KEEP_DAYS = 0
    run = ended_run(4000)
    assert remove_old_output() == 0
    run.refresh_from_db()
    assert (run.stdout, run.output_removed_at) == ("said\n", None)


def test_many_are_removed_some_at_a_time_each_with_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(5):
        ended_run(KEPT_DAYS + 2)
    monkeypatch.setattr(output_removal, "RUNS_AT_ONCE", 2)
    before = len(removals())
    assert remove_old_output() == 5
    assert [row.detail["runs"] for row in removals()[before:]] == [2, 2, 1]
    for _ in range(2):  # one that is larger than the bound is removed alone
        ended_run(KEPT_DAYS + 2, stdout="x" * 1000)
    monkeypatch.setattr(output_removal, "BYTES_AT_ONCE", 100)
    before = len(removals())
    assert remove_old_output() == 2
    assert [row.detail["bytes"] for row in removals()[before:]] == [1003, 1003]


def test_stretches_that_a_journal_brought_home_later_are_found_too() -> None:
    at_ms = int((timezone.now() - timedelta(days=KEPT_DAYS + 3)).timestamp() * 1000)
    first = unique(f"run_{at_ms:012x}")
    run = ended_run(KEPT_DAYS + 3, execution_id=first)
    assert remove_old_output() == 1
    run.refresh_from_db()
    removed_at = run.output_removed_at
    add_stretch(first)
    assert remove_old_output() == 1
    assert not has_stretches(first)
    run.refresh_from_db()
    assert run.output_removed_at == removed_at


@pytest.mark.parametrize(
    ("language", "days", "told"),
    [
        ("en", KEPT_DAYS, "The output was removed after 30 days."),
        ("en", 1, "The output was removed after 1 day."),
        ("pt-br", KEPT_DAYS, "A saída foi removida depois de 30 dias."),
    ],
)
def test_the_portal_says_that_it_is_gone(language: str, days: int, told: str) -> None:
    at = timezone.now() - timedelta(days=90)
    run = make_run(ended_at=at, output_bytes=8, output_removed_at=at + timedelta(days=days))
    client = client_of(person("executor.view_commandrun", "executor.view_output"))
    client.cookies["django_language"] = language
    html = page_of(client, run)
    assert told in html
    assert "Nothing was printed." not in html
    download = reverse("admin:executor_commandrun_output", args=[run.pk, "stdout"])
    assert client.get(download).status_code == 404
    assert not AuditTrace.objects.filter(action="run.output.read", execution_id=run.pk).exists()


def page_of(client: Client, run: CommandRun) -> str:
    response = client.get(reverse("admin:executor_commandrun_change", args=[run.pk]))
    assert response.status_code == 200
    return response.content.decode()


def test_the_snapshot_of_a_keys_last_run_has_null_for_it() -> None:
    prefix = unique("k")[:16]
    run = ended_run(KEPT_DAYS + 1, key_prefix=prefix)
    assert last_run(prefix)["output"] == "said\n"
    assert remove_old_output() == 1
    other = last_run(prefix)
    assert (other["execution_id"], other["output"]) == (run.pk, None)
