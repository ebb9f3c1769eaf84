"""``docs/reason-codes.md`` is what the registry says, and the command that makes it works."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from techno.governance.reason_codes import ReasonCode
from techno.web.management.commands.reason_codes import DOCUMENT, document


def test_the_page_is_in_sync_with_the_registry() -> None:
    call_command("reason_codes", "--check")


@pytest.mark.parametrize("code", list(ReasonCode), ids=str)
def test_each_code_has_a_row_with_all_that_is_known_of_it(code: ReasonCode) -> None:
    rows = [line for line in document().splitlines() if line.startswith(f"| `{code.code}` |")]
    assert len(rows) == 1
    facts = code.value
    cells = [cell.strip() for cell in rows[0].strip("|").split(" | ")]
    assert cells == [
        f"`{facts.code}`",
        facts.status.value if facts.status else "as it was",
        str(facts.http_status or "as it was"),
        facts.meaning,
        facts.remedy,
    ]


def test_without_an_option_it_prints_the_page() -> None:
    out = StringIO()
    call_command("reason_codes", stdout=out)
    assert out.getvalue() == document()


def test_a_stale_page_is_refused_and_made_anew(tmp_path: Path, settings: Any) -> None:
    settings.BASE_DIR = tmp_path
    with pytest.raises(CommandError, match="--write"):
        call_command("reason_codes", "--check")
    (tmp_path / "docs").mkdir()
    (tmp_path / DOCUMENT).write_text("| `G0_auth_not_configured` | APPROVED |", encoding="utf-8")
    with pytest.raises(CommandError, match="--write"):
        call_command("reason_codes", "--check")
    call_command("reason_codes", "--write")
    call_command("reason_codes", "--check")
