"""The writes of an approval's life, by name: the journal finds them again by it."""

from __future__ import annotations

from executor.sql import statement
from executor.statements import OPEN_RUN
from techno.database.group_commit import define_statement

OPEN_WAITING_RUN = define_statement(
    "executor.open_waiting_run",
    sql=statement("open_waiting_runs"),
    exists_sql=OPEN_RUN.exists_sql,
    key_field="execution_id",
    order=1,
)
OPEN_APPROVAL = define_statement(
    "executor.open_approval",
    sql=statement("open_approvals"),
    exists_sql=statement("find_opened_approvals"),
    key_field="execution_id",
    order=2,
)
DECIDE_APPROVAL = define_statement(
    "executor.decide_approval",
    sql=statement("decide_approvals"),
    exists_sql=statement("find_decided_approvals"),
    key_field="identity",
    order=3,
)
