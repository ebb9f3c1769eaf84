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


def secret(name: str) -> str:
    """Return a secret: the variable ``name``, or the text of the file that ``name``_FILE names.

    A file is how orchestrators hand secrets over without showing them in a process list or an
    inspection. White space around its text is dropped. Both at once is an error: nobody could
    tell which of them is meant.
    """
    given, path = text(name), text(f"{name}_FILE")
    if not path:
        return given
    if given:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: remove one of them.")
    try:
        found = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ImproperlyConfigured(f"{name}_FILE cannot be read ({path}): {reason}.") from error
    if not found:
        raise ImproperlyConfigured(f"{name}_FILE names an empty file ({path}).")
    return found


def secret_key() -> str:
    """Return ``SECRET_KEY``, or the one kept in ``var/secret_key``, made on first use."""
    return secret("SECRET_KEY") or _kept("secret_key", "SECRET_KEY")


def key_pepper() -> str:
    """Return the pepper of key digests; empty when there is none.

    With the embedded database it is made on first use and kept beside that, in
    ``var/key_pepper``. With a database of somebody's own there may be several hosts, which must
    all have the same one: there it is used only when it is given.
    """
    given = secret("TECHNO_KEY_PEPPER")
    if given or not uses_embedded():
        return given
    return _kept("key_pepper", "TECHNO_KEY_PEPPER")


def _kept(file_name: str, variable: str) -> str:
    """Return the secret kept in ``var/``, made on first use.

    The file is created whole under another name and linked into place, so that two processes
    that start together agree on one secret and nobody ever reads half of it.
    """
    path = VAR_DIR / file_name
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ImproperlyConfigured(f"{variable} cannot be read from {path}: {error}") from error
    draft = VAR_DIR / f".{file_name}.{os.getpid()}.{secrets.token_hex(4)}"
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
            f"{variable} is not set and none can be kept in {path}: {error}. "
            f"Set {variable}, or make TECHNO_VAR_DIR writable."
        ) from error
    return path.read_text(encoding="ascii").strip()


def single_sign_on() -> dict[str, Any]:
    """Return the OpenID provider as django-allauth wants it; empty when there is none."""
    server = text("TECHNO_OIDC_ISSUER")
    if not server:
        return {}
    client_id = text("TECHNO_OIDC_CLIENT_ID")
    if not client_id:
        raise ImproperlyConfigured("TECHNO_OIDC_ISSUER needs TECHNO_OIDC_CLIENT_ID.")
    scope = words("TECHNO_OIDC_SCOPES", "openid,profile,email")
    provider = {
        "provider_id": "sso",
        "name": text("TECHNO_OIDC_NAME", "Single sign-on"),
        "client_id": client_id,
        "secret": secret("TECHNO_OIDC_CLIENT_SECRET"),
        "settings": {
            "server_url": server,
            "scope": scope,
        },
    }
    return {"openid_connect": {"APPS": [provider], "OAUTH_PKCE_ENABLED": True}}


def owner_role() -> bool:
    """Whether this process was started to change the schema (``manage.py migrate``)."""
    return os.environ.get("TECHNO_DATABASE_ROLE") == "owner"


def uses_embedded() -> bool:
    """Whether the database is the embedded one (no ``DATABASE_URL`` given)."""
    return not secret("DATABASE_URL")


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
    name, url = "DATABASE_URL", secret("DATABASE_URL")
    owners = secret("TECHNO_MIGRATION_DATABASE_URL") if owner_role() else ""
    if owners:
        name, url = "TECHNO_MIGRATION_DATABASE_URL", owners
    parsed: dict[str, Any] = environ.Env.db_url_config(url)
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
