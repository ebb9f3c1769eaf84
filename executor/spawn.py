"""Starts one program with `posix_spawn`: own session, nothing inherited, no shell.

Called through ctypes for two things that `os.posix_spawn` cannot do: it closes whatever
descriptors other libraries left inheritable and changes the directory (file actions of glibc 2.34
and 2.29), and it lets go of the interpreter lock while the kernel builds the new process. The
second decides: see `benchmarks/spawn_overhead.py`. With eight threads on two cores, spawn, pipes
and wait together reached about 1,900 runs/s at 0.20 ms CPU this way, 500 to 1,100 with
`os.posix_spawn` (every thread waits for the one that spawns), and 1,600 to 1,900 at 0.29 ms CPU
with `subprocess.Popen`. No `preexec_fn` anywhere: Python code between fork and exec can
deadlock in a process with threads.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pwd
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, TypeAlias

from executor import instant_calls
from executor.handover import LAST_HANDED_FD, hand_over, own_umask, sealed_file
from techno.governance.frozen import frozen

EXECUTION_ID_VARIABLE = "TECHNO_EXECUTION_ID"
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NEUTRAL_DIRECTORY = "/"

# <spawn.h> of glibc; the two types are opaque there and smaller than this (336 and 80 bytes).
_OPAQUE_BYTES = 1024
_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
_SIGNAL_SET_BYTES = 128
_FIRST_UNSHARED_FD = 3
_NOTHING: Mapping[int, Any] = MappingProxyType({})
_ACTIONS_REMEMBERED = 256
_ENTRIES_REMEMBERED = 64

_Opaque: TypeAlias = "ctypes.Array[ctypes.c_char]"

_libc = ctypes.CDLL(None)  # gives the interpreter lock back during a call
_quick_libc = ctypes.PyDLL(None)  # keeps it: cheaper for calls that never wait

try:
    _quick_libc.posix_spawn_file_actions_addclosefrom_np  # noqa: B018
except AttributeError as missing:
    raise ImportError("executor.spawn needs glibc 2.34 or newer") from missing


class SpawnError(Exception):
    """The program could not be started. The text is for operators: it names paths."""


@frozen
class Child:
    """A process that was started and not yet reaped; its pidfd, the read ends of its pipes.

    Reading never waits. The pipes' write ends are ours too, for whoever reads to close.
    """

    pid: int
    pidfd: int
    stdout: int
    stderr: int
    write_ends: tuple[int, ...]


def start(
    argv: Iterable[str],
    env: Mapping[str, str],
    cwd: str | None,
    on_start: Callable[[int], None] = lambda pid: None,
    *,
    descriptors: Mapping[int, bytes] = _NOTHING,
    umask: int | None = None,
) -> Child:
    """Start argv[0], looked up in the PATH of `env` when it has no slash.

    The child leads a session of its own, has /dev/null for input, the default action for all
    signals, no blocked signal, and no other descriptor than `descriptors` (numbers from 3 to 9,
    each a sealed file with the given bytes). `umask` None is ours. `on_start(pid)` is called at
    the earliest moment, while the program has hardly begun.

    Raises SpawnError for every reason there is: a bad argument, a missing or forbidden program
    or directory, an exhausted limit. If `on_start` was called before, the child is there all the
    same, and the caller has to end and to reap it.
    """
    arguments = _encode_argv(argv)
    environment = _encode_environment(env)
    directory = _encode_directory(cwd or NEUTRAL_DIRECTORY)
    program = _find_program(arguments[0], env.get("PATH", SEARCH_PATH))
    pipes: list[int] = []
    handed: dict[int, int] = {}
    try:
        for _ in ("stdout", "stderr"):
            pipes += _open_pipe()
        if descriptors:
            for number, content in descriptors.items():
                handed[number] = sealed_file(content)
            actions = _Actions(directory, pipes[1], pipes[3], handed)
        else:
            actions = _usual_actions(directory, pipes[1], pipes[3])
        if umask is None:
            pid = _posix_spawn(program, arguments, environment, actions)
        else:
            with own_umask(umask):
                pid = _posix_spawn(program, arguments, environment, actions)
        on_start(pid)
        pidfd = os.pidfd_open(pid)
    except BaseException as error:
        for descriptor in pipes:
            instant_calls.close(descriptor)
        if isinstance(error, OSError):
            raise SpawnError(_explain(error, program, directory)) from error
        raise
    finally:
        for descriptor in handed.values():
            instant_calls.close(descriptor)
    return Child(pid, pidfd, pipes[0], pipes[2], (pipes[1], pipes[3]))


def minimal_environment(additions: Mapping[str, str], marker: str) -> dict[str, str]:
    """PATH, LANG, HOME of the account, the caller's additions, and the run's marker."""
    return {
        "PATH": SEARCH_PATH,
        "LANG": "C.UTF-8",
        "HOME": _home_directory(os.geteuid()),
        **additions,
        EXECUTION_ID_VARIABLE: marker,
    }


@cache
def _home_directory(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_dir or NEUTRAL_DIRECTORY
    except KeyError:
        return NEUTRAL_DIRECTORY


def _encode(text: str) -> bytes:
    """UTF-8 without NUL. The text may be secret: it is quoted in no error."""
    if not isinstance(text, str):
        raise SpawnError("not text")
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise SpawnError("holds a lone surrogate") from None
    if b"\0" in encoded:
        raise SpawnError("holds a NUL character")
    return encoded


def _encode_argv(argv: Iterable[str]) -> list[bytes]:
    if isinstance(argv, str | bytes):
        raise SpawnError("argv is a string, not a sequence of arguments")
    arguments: list[bytes] = []
    try:
        for text in argv:
            arguments.append(_encode(text))
    except SpawnError as error:
        raise SpawnError(f"argument {len(arguments)}: {error}") from None
    if not arguments or not arguments[0]:
        raise SpawnError("argv names no program")
    return arguments


def _encode_environment(env: Mapping[str, str]) -> list[bytes]:
    entries: list[bytes] = []
    for name, value in env.items():
        if name in _USUAL_VARIABLES:
            entries.append(_usual_entry(name, value))
        else:
            entries.append(_encode_variable(name, value))
    return entries


def _encode_variable(name: str, value: str) -> bytes:
    try:
        entry = _encode(name) + b"=" + _encode(value)
    except SpawnError as error:
        raise SpawnError(f"environment variable {name!a}: {error}") from None
    if not name or "=" in name:
        raise SpawnError(f"environment variable {name!a}: not a name")
    return entry


#: Their values are the same in nearly every run, and no secrets.
_USUAL_VARIABLES = frozenset({"PATH", "LANG", "HOME"})
_usual_entry = lru_cache(_ENTRIES_REMEMBERED)(_encode_variable)


def _encode_directory(cwd: str) -> bytes:
    try:
        return _encode(cwd)
    except SpawnError as error:
        raise SpawnError(f"working directory: {error}") from None


def _find_program(name: bytes, search_path: str) -> bytes:
    if b"/" in name:
        return name
    found = shutil.which(name.decode(), path=search_path)
    if found is None:
        raise SpawnError(f"{name.decode()}: not found in {search_path}")
    return os.fsencode(found)


def _open_pipe() -> tuple[int, int]:
    """Both ends close on exec from birth: no spawn in another thread can inherit them.

    The write end is kept clear of 0, 1 and 2 (free in a process that closed them), because the
    file actions fill these one after the other.
    """
    read_end, write_end = instant_calls.pipe()
    if write_end >= _FIRST_UNSHARED_FD:
        return read_end, write_end
    try:
        return read_end, fcntl.fcntl(write_end, fcntl.F_DUPFD_CLOEXEC, _FIRST_UNSHARED_FD)
    except OSError:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)


def _make_attributes() -> _Opaque:
    attributes = ctypes.create_string_buffer(_OPAQUE_BYTES)
    # sigfillset() would leave out 32 and 33, which glibc then sets to "ignored" in the child.
    every_signal = ctypes.create_string_buffer(b"\xff" * _SIGNAL_SET_BYTES)
    no_signal = ctypes.create_string_buffer(_SIGNAL_SET_BYTES)
    flags = ctypes.c_short(_SETSIGDEF | _SETSIGMASK | _SETSID)
    _quick_libc.posix_spawnattr_init(attributes)
    _quick_libc.posix_spawnattr_setsigdefault(attributes, every_signal)
    _quick_libc.posix_spawnattr_setsigmask(attributes, no_signal)
    _quick_libc.posix_spawnattr_setflags(attributes, flags)
    return attributes


_ATTRIBUTES = _make_attributes()  # only ever read from here on, by all threads


class _Actions:
    """What a child does before it becomes the program. Only ever read once it is made."""

    __slots__ = ("spawn_argument",)

    def __init__(
        self, directory: bytes, stdout: int, stderr: int, handed: Mapping[int, int] = _NOTHING
    ) -> None:
        """Raises OSError for what glibc does not take."""
        libc, actions = _quick_libc, ctypes.create_string_buffer(_OPAQUE_BYTES)
        libc.posix_spawn_file_actions_init(actions)
        self.spawn_argument = actions
        _check(libc.posix_spawn_file_actions_addopen(actions, 0, b"/dev/null", os.O_RDONLY, 0))
        _check(libc.posix_spawn_file_actions_adddup2(actions, stdout, 1))
        _check(libc.posix_spawn_file_actions_adddup2(actions, stderr, 2))
        _check(libc.posix_spawn_file_actions_addchdir_np(actions, directory))
        first_closed = _FIRST_UNSHARED_FD
        if handed:
            hand_over(libc, actions, handed)
            first_closed = LAST_HANDED_FD + 1
        _check(libc.posix_spawn_file_actions_addclosefrom_np(actions, first_closed))

    def __del__(
        self, destroy: Callable[[_Opaque], int] = _quick_libc.posix_spawn_file_actions_destroy
    ) -> None:
        """Give back what glibc keeps behind the opaque bytes."""
        destroy(self.spawn_argument)


@lru_cache(_ACTIONS_REMEMBERED)
def _usual_actions(directory: bytes, stdout: int, stderr: int) -> _Actions:
    """Return the actions of a run that is handed nothing: numbers of pipes come again and again."""
    return _Actions(directory, stdout, stderr)


def _posix_spawn(
    program: bytes,
    arguments: list[bytes],
    environment: list[bytes],
    actions: _Actions,
) -> int:
    """The new process's number; OSError as exec or an action failed in the child."""
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments)
    envp = (ctypes.c_char_p * (len(environment) + 1))(*environment)
    pid = ctypes.c_int()
    _check(
        _libc.posix_spawn(
            ctypes.byref(pid), program, actions.spawn_argument, _ATTRIBUTES, argv, envp
        )
    )
    return pid.value


def _check(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))


def _explain(error: OSError, program: bytes, directory: bytes) -> str:
    """posix_spawn says why but not where: look which of its steps can have failed so."""
    name = program.decode()
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
        if not os.path.isdir(directory) or not os.access(directory, os.X_OK):
            return f"working directory {directory.decode()}: {reason}"
        if error.errno == errno.ENOENT and os.path.exists(os.path.join(directory, program)):
            return f"{name}: its interpreter does not exist"
    return f"{name}: {reason}"
