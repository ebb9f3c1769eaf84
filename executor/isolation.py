"""What an action may say about how far its program gets: checked when it is saved. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from executor.argv import RESERVED_VARIABLES, VARIABLE_NAME, InvalidAction

PASSED_MOST = 32
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?|[0-9]{1,9}", re.IGNORECASE | re.ASCII)
_UMASK = re.compile(r"0?[0-7]{3}")
#: What the service itself lives by and no command is to see.
_OWN_VARIABLES = re.compile(r"DATABASE_URL|SECRET_KEY.*|PG.*", re.ASCII)
NO_SANDBOX, BWRAP = "none", "bwrap"
#: Least and most of each limit, and what it is called in ``prlimit``.
LIMITS = {
    "cpu_s": (1, 86_400, "cpu"),
    "memory_bytes": (1_048_576, 2**50, "as"),
    "processes": (1, 100_000, "nproc"),
    "file_size_bytes": (0, 2**50, "fsize"),
    "open_files": (3, 1_000_000, "nofile"),
}


@dataclass(frozen=True, slots=True)
class Isolation:
    """How a program is confined; what is empty, ``None`` or false asks for nothing.

    ``limits`` are by the names of :data:`LIMITS`. ``passed`` names variables of the service's own
    environment that the program gets as well.
    """

    user: str = ""
    group: str = ""
    umask: int | None = None
    limits: tuple[tuple[str, int], ...] = ()
    no_new_privs: bool = False
    sandbox: str = NO_SANDBOX
    passed: tuple[str, ...] = ()


NOTHING = Isolation()


def checked_isolation(value: Any) -> Isolation:
    """Return what a table of isolation asks for. Raises :class:`InvalidAction`."""
    if not isinstance(value, Mapping):
        raise InvalidAction("isolation must be an object.")
    known = {*LIMITS, "user", "group", "umask", "no_new_privs", "sandbox", "pass_environment"}
    for name in value:
        if name not in known:
            raise InvalidAction(f"isolation.{name} is not known.")
    no_new_privs = value.get("no_new_privs", False)
    if not isinstance(no_new_privs, bool):
        raise InvalidAction("isolation.no_new_privs must be true or false.")
    sandbox = value.get("sandbox", NO_SANDBOX)
    if sandbox not in (NO_SANDBOX, BWRAP):
        raise InvalidAction(f'isolation.sandbox must be "{NO_SANDBOX}" or "{BWRAP}".')
    return Isolation(
        user=_account("user", value),
        group=_account("group", value),
        umask=_umask(value.get("umask")),
        limits=tuple((name, _limit(name, value[name])) for name in LIMITS if name in value),
        no_new_privs=no_new_privs,
        sandbox=sandbox,
        passed=_passed(value.get("pass_environment", [])),
    )


def _account(field: str, value: Mapping[str, Any]) -> str:
    name = value.get(field, "")
    if not isinstance(name, str) or (name and _ACCOUNT.fullmatch(name) is None):
        raise InvalidAction(f"isolation.{field} must be the name or number of a {field}.")
    return name


def _umask(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str) or _UMASK.fullmatch(value) is None:
        raise InvalidAction('isolation.umask must be an octal text such as "0027".')
    return int(value, 8)


def _limit(name: str, value: Any) -> int:
    least, most, _ = LIMITS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidAction(f"isolation.{name} must be a whole number from {least} to {most}.")
    return value


def _passed(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > PASSED_MOST:
        raise InvalidAction(f"isolation.pass_environment must list at most {PASSED_MOST} names.")
    for name in value:
        if not isinstance(name, str) or VARIABLE_NAME.fullmatch(name) is None:
            raise InvalidAction(f"isolation.pass_environment: {name!a} is not a variable's name.")
        if RESERVED_VARIABLES.fullmatch(name) or _OWN_VARIABLES.fullmatch(name):
            raise InvalidAction(f"isolation.pass_environment: {name} is never passed on.")
    return tuple(value)
