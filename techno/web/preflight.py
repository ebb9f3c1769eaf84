"""What must be true before anything is started, each told in one sentence when it is not."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from techno.embedded import EmbeddedError
from techno.embedded.locks import FileLock
from techno.embedded.query import QueryError, run_query

DATABASE_WAIT_S = 30.0
_PROBE_LIMIT_S = 5.0
_POLL_S = 0.5


class PreflightError(Exception):
    """The service cannot start here; the message is one sentence with the next step."""


def check_writable(var_dir: Path) -> None:
    """Raise unless files can be made in `var_dir`, which is made where it is missing."""
    probe = var_dir / "run" / f".probe.{os.getpid()}"
    try:
        var_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.parent.mkdir(mode=0o700, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise PreflightError(
            f"{var_dir} cannot be written ({error.strerror}): make it writable, or set "
            "TECHNO_VAR_DIR to a directory that is."
        ) from error


def lock_service(var_dir: Path) -> FileLock:
    """Take the lock of the one service that may run on `var_dir`; held until released."""
    lock = FileLock(var_dir / "run" / "serve.lock")
    try:
        taken = lock.acquire()
    except EmbeddedError as error:
        raise PreflightError(str(error)) from error
    if not taken:
        raise PreflightError(
            f"Techno OS already serves from {var_dir} ({lock.holder()}): end that one, or set "
            "TECHNO_VAR_DIR to run a second one."
        )
    return lock


def check_address(host: str, port: int) -> None:
    """Raise unless `host:port` can be listened on now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise PreflightError(f"TECHNO_HOST {host} is no address of this machine.") from error
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            raise PreflightError(_why_not(host, port, error)) from error


def wait_for_database(
    parameters: Mapping[str, object], *, cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Wait for the server of `DATABASE_URL` to answer; raise after `DATABASE_WAIT_S`."""
    deadline = time.monotonic() + DATABASE_WAIT_S
    while not cancelled():
        try:
            run_query(parameters, "SELECT 1", timeout_s=_PROBE_LIMIT_S)
            return
        except QueryError as error:
            reason = " ".join(str(error).split())
        if time.monotonic() >= deadline:
            raise PreflightError(f"The database of DATABASE_URL does not answer: {reason}")
        time.sleep(_POLL_S)


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken by another program: end it, or set TECHNO_PORT to a "
            "free port."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"TECHNO_HOST {host} is no address of this machine."
    return f"Port {port} on {host} cannot be used ({error.strerror}): set TECHNO_PORT to another."
