"""Governed acts from a terminal: who sits there, and the row that they leave."""

from __future__ import annotations

import os
import pwd

from techno.gate import Governed, begin
from techno.governance.principal import Principal, PrincipalKind

COMMAND = "COMMAND"


def account() -> str:
    """Return the name of the account that runs this command."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def governed_command(action: str) -> Governed:
    """Open a governed act of the terminal's account; conclude it with ``techno.gate.conclude``."""
    governed = begin(method=COMMAND, path=f"manage.py {action.replace('.', ' ', 1)}")
    governed.principal = Principal(PrincipalKind.SYSTEM, "terminal", account())
    governed.action = action
    return governed
