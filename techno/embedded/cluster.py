"""One data directory: made whole or not at all, checked, configured, and read when it fails."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from techno.embedded.account import Account
from techno.embedded.errors import EmbeddedError
from techno.embedded.layout import BOOTSTRAP_ROLE, Layout, make_private_directory

_INITDB_LIMIT_S = 300.0


def make_root(layout: Layout) -> None:
    """Make the directories above the data, or raise with what to do about it."""
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        layout.logs.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"{layout.var_dir} cannot be written ({error.strerror}): make it writable, or set "
            "TECHNO_VAR_DIR to a directory that is."
        ) from error


def make_data(layout: Layout, account: Account, say: Callable[[str], None]) -> None:
    """Make the data directory under another name first: it is whole, or it is not there."""
    say(f"Creating the database in {layout.data}.")
    unfinished = layout.unfinished_data
    shutil.rmtree(unfinished, ignore_errors=True)
    make_private_directory(unfinished, account.file_owner, account.file_group)
    provider = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    account.run(
        [
            layout.program("initdb"),
            f"--pgdata={unfinished}",
            f"--username={BOOTSTRAP_ROLE}",
            "--encoding=UTF8",
            "--locale=C",
            *(provider if layout.major > 16 else []),
            "--auth-local=peer",
            "--auth-host=reject",
            "--data-checksums",
            "--no-instructions",
        ],
        limit_s=_INITDB_LIMIT_S,
    )
    unfinished.rename(layout.data)


def check_version(layout: Layout) -> None:
    """Raise unless the data were made by the major version that we run."""
    try:
        version = (layout.data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise EmbeddedError(
            f"{layout.data} is not a usable database ({error.strerror}): restore it from "
            "a backup, or move it away to begin anew."
        ) from error
    if version != str(layout.major):
        raise EmbeddedError(
            f"The database in {layout.data} was made by PostgreSQL {version}, and this "
            f"release runs PostgreSQL {layout.major}: dump it with the release that made "
            "it and load it into a new TECHNO_VAR_DIR, or set DATABASE_URL."
        )


def write_configuration(layout: Layout, account: Account) -> None:
    """Write all configuration files anew, each whole or not at all."""
    for directory in (layout.sockets, layout.logs):
        make_private_directory(directory, account.file_owner, account.file_group)
    for path, text in layout.configuration_files(account.client_name).items():
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.write_text(text)
        draft.chmod(0o644)  # another account may have to read it; it holds no secret
        draft.rename(path)


def log_sizes(layout: Layout) -> dict[Path, int]:
    """Return how much each log file holds, so that what is added can be told from it."""
    return {path: path.stat().st_size for path in layout.logs.glob("*.log")}


def last_words(layout: Layout, before: Mapping[Path, int]) -> str:
    """Return the server's last complaint since `before` was taken, and where to read more."""
    for path in (layout.start_log, *layout.logs.glob("*.log")):
        with contextlib.suppress(OSError):
            text = path.read_bytes()[before.get(path, 0) :].decode(errors="replace")
            bad = [line for line in text.splitlines() if "FATAL:" in line or "PANIC:" in line]
            if bad:
                return f"it said “{bad[-1].split(': ', 1)[1].strip()}” (see {path})."
    return f"see {layout.start_log} and {layout.logs}."
