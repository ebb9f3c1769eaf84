"""The roles and the database, asserted at every start: whoever changed them finds them restored.

`techno_owner` owns the database and migrates it; `techno_app` serves requests and owns nothing,
so that triggers and privileges bind it. Nobody has a password: only peer authentication exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from techno.embedded.layout import APP_ROLE, BOOTSTRAP_ROLE, DATABASE, OWNER_ROLE
from techno.embedded.query import run_query

_STATEMENT_LIMIT_S = 60.0

_ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER ROLE {role} WITH LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS {more}
"""
_LIMITS = """
ALTER ROLE {owner} SET lock_timeout = '30s';
ALTER ROLE {app} SET lock_timeout = '5s';
ALTER ROLE {app} SET idle_in_transaction_session_timeout = '60s'
"""
_DATABASE = """
ALTER DATABASE {database} OWNER TO {owner};
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {app}
"""
_SCHEMA = """
ALTER SCHEMA public OWNER TO {owner};
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO {app}
"""


def prepare_database(connection: Callable[[str, str], Mapping[str, object]]) -> None:
    """Create or restore roles, database and schema ownership; `connection(role, database)`."""
    names = {"owner": OWNER_ROLE, "app": APP_ROLE, "database": DATABASE}

    def run(statement: str, database: str = "postgres") -> list[tuple[str | None, ...]]:
        return run_query(
            connection(BOOTSTRAP_ROLE, database),
            statement.format(**names),
            timeout_s=_STATEMENT_LIMIT_S,
        )

    run(_ROLE.replace("{role}", OWNER_ROLE).replace("{more}", "CREATEDB"))
    run(_ROLE.replace("{role}", APP_ROLE).replace("{more}", "NOCREATEDB"))
    run(_LIMITS)
    if not run("SELECT 1 FROM pg_database WHERE datname = '{database}'"):
        run("CREATE DATABASE {database} OWNER {owner}")
    run(_DATABASE)
    run(_SCHEMA, DATABASE)
