"""Putting a program behind the limits that its action asks for, on this host.

Nothing is changed between fork and exec: what the kernel has to be told is told by programs in
front of the command, each of which turns into the next one (``bwrap``, ``setpriv``, ``prlimit``,
the command), and by the umask that the child is born with. Only what is asked for is put there.
A limit that this host cannot set is a run that does not start.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from pathlib import Path

from executor.accounts import Account, NoSuchAccount, account_for
from executor.isolation import BWRAP, LIMITS, Isolation
from executor.spawn import SEARCH_PATH
from techno.governance.frozen import frozen

#: Nothing of it is seen from within a sandbox: sockets of services, other programs' files.
HIDDEN = ("/run", "/var/tmp", "/tmp")  # noqa: S108 - hidden, not used
#: A program that ignores the end of its CPU time is killed so much later.
CPU_GRACE_S = 1
_TOOLS = ("bwrap", "setpriv", "prlimit")


class CannotConfine(Exception):
    """The program must not start: a limit cannot be set here. The text is for operators."""


@frozen
class Confined:
    """A command behind its limits. ``account`` is whose process it will be."""

    argv: tuple[str, ...]
    account: Account
    environment: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()


def account_of(isolation: Isolation) -> Account:
    """Return as whom a program will run. Raises :class:`CannotConfine`."""
    try:
        return account_for(isolation)
    except NoSuchAccount as error:
        raise CannotConfine(str(error)) from error


def confine(
    argv: tuple[str, ...],
    isolation: Isolation,
    account: Account,
    directory: str,
    *,
    writable: bool,
    hidden: tuple[str, ...] = (),
) -> Confined:
    """Return ``argv`` with what enforces ``isolation`` in front of it.

    In a sandbox ``directory`` can be written to if ``writable``; ``hidden`` are directories that
    are empty there. Raises :class:`CannotConfine`.
    """
    front: list[str] = []
    if isolation.sandbox == BWRAP:
        front += _sandbox(account, directory, writable=writable, hidden=hidden)
    front += _privileges(isolation, account)
    front += _limits(isolation, account)
    used = tuple(name for name in _TOOLS if _find(name) in front)
    return Confined((*front, *argv), account, _environment(isolation, account), used)


def complaint_in(stderr: str, tools: tuple[str, ...]) -> str:
    """Return what one of ``tools`` said when it could not start the program, else ``""``.

    They say it in one line that begins with their name, as the only thing that is printed.
    """
    line = stderr.strip()
    if "\n" in line or not line.startswith(tuple(f"{name}: " for name in tools)):
        return ""
    return line


@cache
def _find(name: str) -> str | None:
    return shutil.which(name, path=SEARCH_PATH)


def _tool(name: str) -> str:
    found = _find(name)
    if found is None:
        raise CannotConfine(f"the action demands {name}, which is not installed on this host")
    return found


def _sandbox(
    account: Account, directory: str, *, writable: bool, hidden: tuple[str, ...]
) -> list[str]:
    """No network, no other process in sight, nothing to write to but the run's own places."""
    front = [_tool("bwrap"), "--unshare-net", "--unshare-pid", "--unshare-ipc"]
    front += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for place in (*HIDDEN, *hidden):
        if Path(place).is_dir() and not Path(place).is_symlink():
            front += ["--tmpfs", place]
    if writable:
        front += ["--bind", directory, directory]
    front += ["--chdir", directory]
    if account.is_changed:  # to be given up by setpriv, and with them all others
        front += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    return [*front, "--"]


def _privileges(isolation: Isolation, account: Account) -> list[str]:
    if not account.is_changed and not isolation.no_new_privs:
        return []
    front = [_tool("setpriv")]
    if account.is_changed:
        front += ["--reuid", str(account.uid), "--regid", str(account.gid)]
        front += ["--init-groups"] if account.name else ["--clear-groups"]
    if isolation.no_new_privs:
        front.append("--no-new-privs")
    return [*front, "--"]


def _limits(isolation: Isolation, account: Account) -> list[str]:
    if not isolation.limits:
        return []
    front = [_tool("prlimit"), "--core=0"]
    for name, bound in isolation.limits:
        wanted = bound
        if name == "processes" and account.uid == 0:
            raise CannotConfine("a limit of processes does not bind root: name another user")
        word = LIMITS[name][2]
        hard = resource.getrlimit(getattr(resource, f"RLIMIT_{word.upper()}"))[1]
        last = wanted + CPU_GRACE_S if name == "cpu_s" else wanted
        if hard != resource.RLIM_INFINITY:  # ours is stricter, and holds for our children
            wanted, last = min(wanted, hard), min(last, hard)
        front.append(f"--{word}={wanted}:{last}")
    return [*front, "--"]


def _environment(isolation: Isolation, account: Account) -> dict[str, str]:
    passed = {name: os.environ[name] for name in isolation.passed if name in os.environ}
    if account.is_changed and account.name:
        passed |= {"HOME": account.home, "USER": account.name, "LOGNAME": account.name}
    return passed
