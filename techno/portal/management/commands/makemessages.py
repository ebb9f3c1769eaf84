"""``manage.py makemessages``, which also collects what the reason codes mean.

The codes live in a module that knows no Django, so their sentences carry no mark of a
translation. They are added to the template of the catalogue after the marked ones.
"""

from __future__ import annotations

import os

from django.core.management.commands import makemessages

from techno.governance.reason_codes import ReasonCode

_LOCATION = "#: techno/governance/reason_codes.py"


class Command(makemessages.Command):
    """Django's command, and the sentences of the reason codes."""

    def build_potfiles(self) -> list[str]:
        """Return the templates of the catalogues, completed."""
        templates: list[str] = super().build_potfiles()
        entries = [f'\n{_LOCATION}\nmsgid "{text}"\nmsgstr ""\n' for text in sentences()]
        for path in {os.path.realpath(template) for template in templates}:
            with open(path, "a", encoding="utf-8") as file:
                file.writelines(entries)
        return templates


def sentences() -> list[str]:
    """Return the meaning and the remedy of each code, as they stand in a catalogue."""
    found = [text for code in ReasonCode for text in (code.value.meaning, code.value.remedy)]
    return [text.replace("\\", "\\\\").replace('"', '\\"') for text in dict.fromkeys(found)]
