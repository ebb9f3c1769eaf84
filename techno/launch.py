"""Become another program: one that ends with its starter, under the account it should have.

`launch_command` gives the argument vector that runs this file as a script. The script asks the
kernel for a signal when its parent dies, changes its account, and becomes the program, so the
process that the starter waits for is the program itself. It is a script of its own because all
this must happen between fork and exec, where a process with threads may not run Python.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
EXIT_NOT_LAUNCHED = 125


@dataclass(frozen=True, slots=True)
class Identity:
    """The user and group that the program shall have.

    `mapped` means: stay who we are, but in a user namespace in which we appear as `uid`. That is
    how a program that refuses root runs where only root can reach its files.
    """

    uid: int
    gid: int
    mapped: bool = False


def launch_command(
    program: Sequence[str],
    *,
    death_signal: signal.Signals | None = None,
    identity: Identity | None = None,
    directory: Path | None = None,
) -> list[str]:
    """Return the argument vector that starts `program`.

    `death_signal` is what the program gets when the *thread* that starts it ends: start long-lived
    programs from the main thread. `directory` is entered with the new identity, which proves that
    it can be reached.
    """
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    if death_signal is not None:
        command += ["--death-signal", str(int(death_signal)), "--parent", str(os.getpid())]
    if identity is not None:
        command += ["--identity", f"{identity.uid}:{identity.gid}"]
        command += ["--mapped"] if identity.mapped else []
    if directory is not None:
        command += ["--directory", str(directory)]
    return [*command, "--", *program]


def _libc_call(name: str, *arguments: int) -> None:
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*(ctypes.c_ulong(argument) for argument in arguments)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _enter_namespace(uid: int, gid: int) -> None:
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _libc_call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def _take_identity(text: str, *, mapped: bool) -> None:
    uid, gid = (int(part) for part in text.split(":"))
    if mapped:
        _enter_namespace(uid, gid)
    else:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    _libc_call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def follow_parent(death_signal: int, parent: int) -> None:
    """Ask the kernel to send us `death_signal` when `parent` (its starting thread) ends."""
    _libc_call("prctl", _PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew of our wish
        raise OSError("the starting process has ended")


def main(arguments: Sequence[str]) -> None:
    """Run the script: never returns when the program could be started."""
    parser = argparse.ArgumentParser(prog="launch")
    parser.add_argument("--death-signal", type=int)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--identity")
    parser.add_argument("--mapped", action="store_true")
    parser.add_argument("--directory")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args(arguments)
    # Python ignores these two for itself; the program must not inherit that.
    for inherited in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(inherited, signal.SIG_DFL)
    try:
        if options.identity is not None:
            _take_identity(options.identity, mapped=options.mapped)
        if options.directory is not None:
            os.chdir(options.directory)
        if options.death_signal is not None:  # last: a change of account clears it
            follow_parent(options.death_signal, options.parent)
        os.execv(options.program[0], options.program)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        print(f"cannot start {options.program[0]}: {error}", file=sys.stderr)
        sys.exit(EXIT_NOT_LAUNCHED)


if __name__ == "__main__":
    main(sys.argv[1:])
