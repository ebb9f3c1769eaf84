"""``docs/INSTALLATION.md``: its table of settings and its SQL are those of the code."""

from __future__ import annotations

import re

from tests.docs.settings_in_code import ROOT, settings_in_code

PAGE = (ROOT / "docs" / "INSTALLATION.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `([A-Z_]+)` \|([^|]*)\|([^|]*)\| (.+) \|$", re.MULTILINE)


def test_the_table_has_every_setting_with_its_default_and_range() -> None:
    shown = {
        name: (default.strip(), allowed.strip()) for name, default, allowed, _ in _ROW.findall(PAGE)
    }
    wanted = {
        name: (setting.default, f"{setting.least} to {setting.most}" if setting.least else "")
        for name, setting in settings_in_code().items()
    }
    assert shown == wanted


def test_the_sql_for_a_server_of_ones_own_is_the_file_that_makes_the_roles() -> None:
    (block,) = re.findall(r"^```sql\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block == (ROOT / "deploy" / "postgres" / "roles.sql").read_text(encoding="utf-8")
