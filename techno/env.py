"""What the service is told from outside: the environment, and an optional ``.env`` beside it.

Every setting is read here and nowhere else, so that ``.env.example`` can be held complete by a
test. Values that cannot be used raise :class:`ImproperlyConfigured` with a sentence that names
the variable and its rule.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured

from techno import embedded

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_MODE = 0o600
PRIVATE_DIRECTORY_MODE = 0o700

env = environ.Env()
if os.environ.get("TECHNO_ENV_FILE", "") != "none":
    env.read_env(os.environ.get("TECHNO_ENV_FILE") or str(BASE_DIR / ".env"))


def text(name: str, default: str = "") -> str:
    """Return the variable ``name``, or ``default``; surrounding space is dropped."""
    return str(env.str(name, default=default)).strip()


def flag(name: str, *, default: bool) -> bool:
    """Return a yes/no variable."""
    return bool(env.bool(name, default=default))


def whole(name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number between ``least`` and ``most``."""
    try:
        value = int(env.int(name, default=default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number.") from error
    if not least <= value <= most:
        raise ImproperlyConfigured(f"{name} must be between {least} and {most}, not {value}.")
    return value


def seconds(name: str, *, default: float, least: float, most: float) -> float:
    """Return a duration in seconds between ``least`` and ``most``."""
    try:
        value = float(env.float(name, default=default))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a number of seconds.") from error
    if not least <= value <= most:
        raise ImproperlyConfigured(f"{name} must be between {least} and {most} s, not {value}.")
    return value


def words(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list without empty items."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


VAR_DIR = Path(text("TECHNO_VAR_DIR") or BASE_DIR / "var").expanduser().absolute()
HOST = text("TECHNO_HOST", "127.0.0.1")
PORT = whole("TECHNO_PORT", default=8000, least=1, most=65535)


def secret_key() -> str:
    """Return ``SECRET_KEY``, or the one kept in ``var/secret_key``, made on first use.

    The file is created whole under another name and linked into place, so that two processes
    that start together agree on one key and nobody ever reads half of it.
    """
    given = text("SECRET_KEY")
    if given:
        return given
    path = VAR_DIR / "secret_key"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ImproperlyConfigured(f"SECRET_KEY cannot be read from {path}: {error}") from error
    draft = VAR_DIR / f".secret_key.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        VAR_DIR.mkdir(mode=PRIVATE_DIRECTORY_MODE, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(64))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise ImproperlyConfigured(
            f"SECRET_KEY is not set and none can be kept in {path}: {error}. "
            "Set SECRET_KEY, or make TECHNO_VAR_DIR writable."
        ) from error
    return path.read_text(encoding="ascii").strip()


def owner_role() -> bool:
    """Whether this process was started to change the schema (``manage.py migrate``)."""
    return os.environ.get("TECHNO_DATABASE_ROLE") == "owner"


def uses_embedded() -> bool:
    """Whether the database is the embedded one (no ``DATABASE_URL`` given)."""
    return not text("DATABASE_URL")


def database() -> dict[str, Any]:
    """Return Django's connection settings: NAME, USER, PASSWORD, HOST, PORT and OPTIONS.

    Without ``DATABASE_URL`` it is the embedded server. A process that changes the schema
    connects as the owner: ``TECHNO_MIGRATION_DATABASE_URL`` where it is given.
    """
    if uses_embedded():
        role = embedded.OWNER_ROLE if owner_role() else embedded.APP_ROLE
        given = embedded.EmbeddedPostgres(VAR_DIR).connection(role)
        return {
            "NAME": given["dbname"],
            "USER": given["user"],
            "PASSWORD": "",
            "HOST": given["host"],
            "PORT": str(given.get("port", "")),
            "OPTIONS": {},
        }
    name = "DATABASE_URL"
    if owner_role() and text("TECHNO_MIGRATION_DATABASE_URL"):
        name = "TECHNO_MIGRATION_DATABASE_URL"
    parsed: dict[str, Any] = env.db_url(name)
    if not str(parsed.get("ENGINE", "")).endswith(("postgresql", "psycopg2", "postgis")):
        raise ImproperlyConfigured(f"{name} must be a postgres:// address.")
    return {
        "NAME": parsed.get("NAME", ""),
        "USER": parsed.get("USER", ""),
        "PASSWORD": parsed.get("PASSWORD", ""),
        "HOST": unquote(str(parsed.get("HOST", ""))),  # a socket's directory comes as %2F…
        "PORT": str(parsed.get("PORT", "")),
        "OPTIONS": dict(parsed.get("OPTIONS", {})),
    }
