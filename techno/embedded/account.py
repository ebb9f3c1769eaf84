"""Under which account the server runs. PostgreSQL refuses root, so root needs a way out.

As an ordinary user the server simply runs as that user. As root it runs under an unprivileged
account where that account can reach the binaries and the data directory; otherwise (a clone in
/root, a private temporary directory) it runs as root seen from outside, but in a user namespace
in which root's uid appears as an ordinary one. Nobody's directories are opened for it.
Where data exist already, their owner decides.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from techno.embedded.errors import EmbeddedError
from techno.embedded.layout import Layout
from techno.launch import Identity, launch_command

# The first that exists is taken. Debian has `daemon` for daemons that write files of their own.
_UNPRIVILEGED_ACCOUNTS = ("postgres", "daemon", "bin", "nobody")
_PROBE_LIMIT_S = 30
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """How the server's programs are started, and whom it will see connect."""

    identity: Identity | None
    file_owner: int
    file_group: int
    client_name: str

    def start(
        self,
        program: Sequence[str],
        *,
        death_signal: signal.Signals,
        output: int,
        directory: Path = Path("/"),
    ) -> subprocess.Popen[bytes]:
        """Start a PostgreSQL program that ends with us; `output` takes all that it prints."""
        command = launch_command(
            program, death_signal=death_signal, identity=self.identity, directory=directory
        )
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_ENVIRONMENT,
        )

    def run(self, program: Sequence[str], *, limit_s: float, directory: Path = Path("/")) -> str:
        """Run a PostgreSQL program to its end and return what it printed.

        Raises `EmbeddedError` with its last line when it fails or takes longer than `limit_s`.
        """
        process = self.start(
            program, death_signal=signal.SIGKILL, output=subprocess.PIPE, directory=directory
        )
        name = Path(program[0]).name
        try:
            raw, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise EmbeddedError(f"{name} did not end within {limit_s:.0f} s.") from None
        except BaseException:
            process.kill()
            process.wait()
            raise
        text = raw.decode(errors="replace").strip()
        if process.returncode != 0:
            last = text.splitlines()[-1] if text else f"exit code {process.returncode}"
            raise EmbeddedError(f"{name} failed: {last}")
        return text


def choose_account(layout: Layout) -> Account:
    """Return the account for the server of `layout`, or raise when there is none."""
    us = os.geteuid()
    owner = layout.data.stat().st_uid if layout.data.exists() else None
    if us != 0:
        if owner not in (None, us):
            raise EmbeddedError(
                f"The database in {layout.data} belongs to {_name(owner)}: run as that user, or "
                f"use another TECHNO_VAR_DIR (you are {_name(us)})."
            )
        return _ordinary_user(layout)
    if owner is None:
        return _unprivileged(layout) or _mapped(layout)
    if owner == 0:
        return _mapped(layout)
    entry = _entry(owner)
    account = _probed(layout, Identity(owner, entry.pw_gid if entry else owner), _name(0))
    if account is None:
        raise EmbeddedError(
            f"The database in {layout.data} belongs to {_name(owner)}, who can no longer reach it "
            "or PostgreSQL's programs: restore the permissions of the directories above."
        )
    return account


def _ordinary_user(layout: Layout) -> Account:
    entry = _entry(os.geteuid())
    if entry is None:  # PostgreSQL wants a name for its user; a namespace can lend it one
        return _mapped(layout)
    return Account(None, os.geteuid(), os.getegid(), entry.pw_name)


def _unprivileged(layout: Layout) -> Account | None:
    entry = _first_unprivileged()
    return entry and _probed(layout, Identity(entry.pw_uid, entry.pw_gid), _name(0))


def _mapped(layout: Layout) -> Account:
    entry = _first_unprivileged()
    if entry is not None:
        identity = Identity(entry.pw_uid, entry.pw_gid, mapped=True)
        account = _probed(layout, identity, entry.pw_name)
        if account is not None:
            return account
    raise EmbeddedError(
        f"PostgreSQL cannot run as {_name(os.geteuid())}, and no user namespace can be made here: "
        "run as an ordinary user, or set DATABASE_URL."
    )


def _probed(layout: Layout, identity: Identity, client_name: str) -> Account | None:
    """Return the account when a server program really starts under it, in the data's directory."""
    if identity.mapped:
        owner, group = os.geteuid(), os.getegid()
    else:
        owner, group = identity.uid, identity.gid
    account = Account(identity, owner, group, client_name)
    try:
        account.run(
            [layout.program("postgres"), "--version"],
            limit_s=_PROBE_LIMIT_S,
            directory=layout.root,
        )
    except EmbeddedError:
        return None
    return account


def _first_unprivileged() -> pwd.struct_passwd | None:
    by_name = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    preferred = (by_name[name] for name in _UNPRIVILEGED_ACCOUNTS if name in by_name)
    return next(preferred, None)


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _name(uid: int | None) -> str:
    entry = None if uid is None else _entry(uid)
    return entry.pw_name if entry else f"uid {uid}"
