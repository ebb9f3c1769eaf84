"""Who could change what never changes."""

from __future__ import annotations

from audit.tree import Query

_SQL = """
SELECT c.relname,
       pg_has_role(current_user, c.relowner, 'USAGE')
       OR has_table_privilege(c.oid, 'UPDATE')
       OR has_table_privilege(c.oid, 'DELETE')
       OR has_table_privilege(c.oid, 'TRUNCATE')
       OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
FROM pg_class c
WHERE c.oid = ANY (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name)
"""
TABLES = (
    "audit_logs",
    "audit_traces",
    "audit_trace_codes",
    "audit_leaves",
    "audit_nodes",
    "audit_checkpoints",
)


def changeable_tables(query: Query) -> list[str]:
    """Return the audit tables whose rows the connected role could change.

    Raises what ``query`` raises when the database cannot be asked.
    """
    return sorted(name for name, changeable in query(_SQL, [list(TABLES)]) if changeable)
