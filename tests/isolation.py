"""Cuts the test session off from the developer's own installation, before settings are imported.

Importing this module does it; ``tests/conftest.py`` does so first of all. A session has one
directory of its own; under pytest-xdist each worker has a part of it, and the process that
started the workers removes the whole at the end.

Without ``DATABASE_URL`` all servers are embedded ones below that directory. With it, every
database is made on that server and dropped again, so the role of ``DATABASE_URL`` needs
``CREATEDB`` (or the one of ``TECHNO_MIGRATION_DATABASE_URL``, which then owns the tables, with
``TECHNO_APP_ROLE`` naming the role of ``DATABASE_URL``). With ``DATABASE_URL`` alone one role does
everything. What is about privileges, or breaks a server, takes an embedded one all the same.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

REPOSITORY = Path(__file__).resolve().parent.parent
_ROOT_VARIABLE = "TECHNO_TESTS_ROOT"
_EXTERNAL = ("DATABASE_URL", "TECHNO_MIGRATION_DATABASE_URL", "TECHNO_APP_ROLE")
_KEPT = "TECHNO_TESTS_"  # what the process that started the workers tells them

if "techno.settings" in sys.modules:
    raise RuntimeError(
        "the settings were imported before the tests could be isolated: unset "
        "DJANGO_SETTINGS_MODULE, which the tests set themselves"
    )


def _session_root() -> Path:
    """Return the session's directory, made by the first process of the session."""
    given = os.environ.get(_ROOT_VARIABLE)
    if given:
        return Path(given)
    root = Path(tempfile.mkdtemp(prefix="techno-"))
    root.chmod(0o711)  # as root, the database runs under another account and must get through
    os.environ[_ROOT_VARIABLE] = str(root)
    for name in _EXTERNAL:
        os.environ[f"{_KEPT}{name}"] = os.environ.get(name, "")
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(root, ignore_errors=True)

    atexit.register(remove)
    return root


ROOT = _session_root()
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
OWN_DIRECTORY = ROOT / WORKER
VAR_DIR = OWN_DIRECTORY / "var"
#: The server that the developer named, as it was named; empty for the embedded one.
EXTERNAL_URL = os.environ[f"{_KEPT}DATABASE_URL"]
EXTERNAL_OWNER_URL = os.environ[f"{_KEPT}TECHNO_MIGRATION_DATABASE_URL"] or EXTERNAL_URL
APP_ROLE = os.environ[f"{_KEPT}TECHNO_APP_ROLE"]
TOKEN = ROOT.name.removeprefix("techno-").lower().replace("_", "")
OWN_DATABASE = f"techno_test_{TOKEN}_{WORKER}"


def with_database(url: str, name: str) -> str:
    """Return the address ``url`` with another database's name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def clean_environment() -> dict[str, str]:
    """Return our environment without anything that configures the service."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TECHNO_") and name not in ("DATABASE_URL", "SECRET_KEY")
    }


def service_environment(var_dir: Path, database: str = "") -> dict[str, str]:
    """Return the environment of a service or command with its state in ``var_dir``.

    ``database`` is the name of its database on the developer's server; empty for an embedded one.
    """
    chosen = {
        "TECHNO_ENV_FILE": "none",
        "TECHNO_VAR_DIR": str(var_dir),
        "TECHNO_REFUSALS_A_MINUTE_MOST": "1000000",  # all the tests are one address
        "PYTHONUNBUFFERED": "1",
    }
    if database:
        chosen["DATABASE_URL"] = with_database(EXTERNAL_URL, database)
        if EXTERNAL_OWNER_URL != EXTERNAL_URL:
            chosen["TECHNO_MIGRATION_DATABASE_URL"] = with_database(EXTERNAL_OWNER_URL, database)
        if APP_ROLE:
            chosen["TECHNO_APP_ROLE"] = APP_ROLE
    return clean_environment() | chosen


def _isolate() -> None:
    OWN_DIRECTORY.mkdir(mode=0o711, exist_ok=True)
    wanted = service_environment(VAR_DIR, OWN_DATABASE if EXTERNAL_URL else "")
    wanted |= {name: value for name, value in os.environ.items() if name.startswith(_KEPT)}
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
    os.environ["SECRET_KEY"] = "only for tests " + TOKEN
    os.environ["TECHNO_KEY_PEPPER"] = "a pepper only for tests " + TOKEN + "." * 32


_isolate()
