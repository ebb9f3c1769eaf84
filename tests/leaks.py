"""Looks for secrets of a service where none may be: its log, its database, its files, processes.

A service's secrets are those of its environment, what it made for itself, its first password, and
every key that was issued by :meth:`tests.service.Service.issue_key` or told to ``known_secrets``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from techno.processes import descendants, process_table, read_arguments
from tests.service import Service

#: Settings whose values are secrets.
SECRET_SETTINGS = (
    *("SECRET_KEY", "TECHNO_API_KEY", "TECHNO_KEY_PEPPER", "TECHNO_KEY_PEPPER_PREVIOUS"),
    "TECHNO_METRICS_TOKEN",
)
#: Files of ``var/`` that are a secret's own place, or the server's own (searched by SQL).
OWN_PLACES = ("secret_key", "key_pepper", "postgres", "audit", "socket")
#: What the first start shows on purpose, once.
_SHOWN_ONCE = re.compile(r"^  (Password|API key) .*$|^  curl .*$", re.MULTILINE)
SHORTEST = 12


def secrets_of(service: Service) -> dict[str, str]:
    """Return everything that must not be found, by what it is."""
    found = {name: service.environment.get(name, "") for name in SECRET_SETTINGS}
    for name in SECRET_SETTINGS:
        if path := service.environment.get(f"{name}_FILE"):
            found[f"{name}_FILE"] = Path(path).read_text().strip()
    for name in ("secret_key", "key_pepper"):
        path = service.var_dir / name
        found[f"var/{name}"] = path.read_text().strip() if path.exists() else ""
    password = re.search(r"^  Password +(\S+)", service.full_output, re.MULTILINE)
    found["first password"] = password.group(1) if password else ""
    for number, key in enumerate((service.key, *service.known_secrets)):
        found[f"key {number}"] = key.split("_", 2)[-1]
    return {name: text for name, text in found.items() if len(text) >= SHORTEST}


def leaks(service: Service) -> list[str]:
    """Return each place in which a secret was found, and which one; never the secret."""
    secrets = secrets_of(service)
    assert secrets
    return [*_in_log(service, secrets), *_in_database(service, secrets),
            *_in_files(service, secrets), *_in_processes(service, secrets)]  # fmt: skip


def left_behind(service: Service) -> list[str]:
    """Like :func:`leaks`, in what stays of a service that has ended: its log and its files."""
    secrets = secrets_of(service)
    return [*_in_log(service, secrets), *_in_files(service, secrets)]


def _in_log(service: Service, secrets: dict[str, str]) -> Iterator[str]:
    log = _SHOWN_ONCE.sub("", service.full_output)
    yield from (f"{name} in the log" for name, text in secrets.items() if text in log)


def _in_database(service: Service, secrets: dict[str, str]) -> Iterator[str]:
    tables = service.sql(
        "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    assert tables
    names, texts = list(secrets), list(secrets.values())
    for (table,) in tables:
        hits = service.sql(
            "SELECT DISTINCT planted.its_name"
            f" FROM {table} AS t, unnest(%s::text[], %s::text[]) AS planted(its_name, its_text)"
            " WHERE strpos(t::text, planted.its_text) > 0",
            [names, texts],
        )
        yield from (f"{name} in table {table}" for (name,) in hits)


def _in_files(service: Service, secrets: dict[str, str]) -> Iterator[str]:
    for path in service.var_dir.rglob("*"):
        if path.relative_to(service.var_dir).parts[0] in OWN_PLACES or not path.is_file():
            continue
        data = path.read_bytes()
        for name, text in secrets.items():
            if text.encode() in data:
                yield f"{name} in {path.relative_to(service.var_dir)}"


def _in_processes(service: Service, secrets: dict[str, str]) -> Iterator[str]:
    for process in descendants(service.process.pid, process_table()):
        arguments = " ".join(read_arguments(process.pid))
        yield from (f"{name} in a process list" for name, text in secrets.items()
                    if text in arguments)  # fmt: skip
