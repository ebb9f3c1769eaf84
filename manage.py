#!/usr/bin/env python3
"""Run a management command, with the embedded database where no other is configured."""

import os
import sys
from contextlib import nullcontext

# These need no database, start it themselves (serve), or wait for it (keep, beside serve).
WITHOUT_DATABASE = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "keep",
    "makemessages",
    "serve",
    "spectacular",
    "version",
}
VERBS_WITHOUT_DATABASE = {("audit", "journal")}
AS_OWNER: set[tuple[str, ...]] = {("migrate",), ("prepare_database",)}
# These change what never changes, which only the tables' owner can.
AS_OWNER |= {("audit", verb) for verb in ("archive", "partition", "redact")}
_NO_COMMAND = {"-h", "--help", "--version"}


def needs_database(arguments: list[str]) -> bool:
    """Whether the command of this argument vector talks to the database."""
    command = arguments[1] if len(arguments) > 1 else "help"
    if tuple(arguments[1:3]) in VERBS_WITHOUT_DATABASE:
        return False
    if command in _NO_COMMAND or {"-h", "--help"} & set(arguments[2:]):
        return False
    return command not in WITHOUT_DATABASE or (command == "check" and "--database" in arguments)


def main() -> None:
    """Run the command of `sys.argv`; configuration mistakes end it with one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "techno.settings")
    if {tuple(sys.argv[1:2]), tuple(sys.argv[1:3])} & AS_OWNER:
        os.environ["TECHNO_DATABASE_ROLE"] = "owner"  # read when settings are imported
    from django.core.exceptions import ImproperlyConfigured

    try:
        from techno import env
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")
    from django.core.management import execute_from_command_line

    from techno.embedded import EmbeddedError, EmbeddedPostgres
    from techno.web import preflight

    own = env.uses_embedded() and needs_database(sys.argv)
    try:
        if sys.argv[1:2] == ["serve"]:  # before the settings want to keep their secret there
            preflight.check_writable(env.VAR_DIR)
        with EmbeddedPostgres(env.VAR_DIR).running() if own else nullcontext():
            execute_from_command_line(sys.argv)
    except (EmbeddedError, ImproperlyConfigured, preflight.PreflightError) as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
