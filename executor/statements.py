"""The writes of a run's life, by name: the journal finds them again by it."""

from __future__ import annotations

from executor.sql import statement
from techno.database.group_commit import define_statement

OPEN_RUN = define_statement(
    "executor.open_run",
    sql=statement("open_runs"),
    exists_sql=statement("find_opened_runs"),
    key_field="execution_id",
    order=1,
)
CLOSE_RUN = define_statement(
    "executor.close_run",
    sql=statement("close_runs"),
    exists_sql=statement("find_closed_runs"),
    key_field="execution_id",
    order=5,
)
