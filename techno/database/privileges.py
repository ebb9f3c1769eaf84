"""What the role that serves requests may do: everything it needs, and never change history."""

from __future__ import annotations

from typing import Any

from psycopg import sql

#: Tables to which rows are only ever added.
INSERT_ONLY = (
    "audit_logs",
    "audit_traces",
    "audit_trace_codes",
    "audit_leaves",
    "audit_nodes",
    "audit_checkpoints",
    "audit_signing_keys",
    "audit_cosignatures",
    "executor_action_versions",
    "executor_approval_decisions",
    "command_run_ends",
)
#: Their partitions are reached through them only.
PARTITIONED = ("audit_logs", "audit_traces", "audit_trace_codes")
#: Tables that only migrations write.
READ_ONLY = (
    "audit_code_statuses",
    "audit_redactions",
    "audit_archives",
    "django_migrations",
)

_TABLES_SQL = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
  AND pg_has_role(current_user, c.relowner, 'USAGE')
"""
_FUNCTIONS = ("audit_make_partitions_v1(integer, integer)",)


def grant_running_role(cursor: Any, role: str) -> bool:
    """Give ``role`` its rights on all tables of the schema; run as their owner.

    Returns ``False``, changing nothing, when there is no such role or when it is the very role
    that owns the tables (one role for everything: a system check warns of that).
    """
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s AND rolname <> current_user", [role])
    if cursor.fetchone() is None:
        return False
    name = sql.Identifier(role)
    cursor.execute(_TABLES_SQL)
    for (table,) in cursor.fetchall():
        partition = table.startswith(tuple(f"{parent}_" for parent in PARTITIONED))
        allowed = "SELECT, INSERT, UPDATE, DELETE"
        if table in INSERT_ONLY:
            allowed = "SELECT, INSERT"
        elif table in READ_ONLY or partition:
            allowed = "SELECT"
        identifier = sql.Identifier(table)
        cursor.execute(sql.SQL("REVOKE ALL ON TABLE {} FROM {}").format(identifier, name))
        cursor.execute(
            sql.SQL("GRANT {} ON TABLE {} TO {}").format(sql.SQL(allowed), identifier, name)
        )
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name))
    cursor.execute(
        sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(name)
    )
    for function in _FUNCTIONS:
        cursor.execute(
            sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(function), name)
        )
    return True
