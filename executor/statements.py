"""The writes of a run's life, by name: the journal finds them again by it."""

from __future__ import annotations

from executor.sql import statement
from techno.database.group_commit import define_statement

_FIND_RUNS = statement("find_opened_runs")

OPEN_RUN = define_statement(
    "executor.open_run",
    sql=statement("open_runs"),
    exists_sql=_FIND_RUNS,
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
QUEUE_RUN = define_statement(
    "executor.queue_run",
    sql=statement("queue_runs"),
    exists_sql=_FIND_RUNS,
    key_field="execution_id",
    order=2,
)
REMEMBER = define_statement(
    "executor.remember",
    sql=statement("remember"),
    exists_sql=statement("find_remembered"),
    key_field="trace_id",
    order=3,
)
REQUEST_CANCEL = define_statement(
    "executor.request_cancel",
    sql=statement("request_cancel"),
    exists_sql=statement("find_cancel_requests"),
    key_field="execution_id",
    order=4,
)
END_RUN = define_statement(
    "executor.end_run",
    sql=statement("end_runs"),
    exists_sql=statement("find_ended_runs"),
    key_field="execution_id",
    order=6,
)
APPEND_OUTPUT = define_statement(
    "executor.append_output",
    sql=statement("append_output"),
    exists_sql=statement("find_output"),
    key_field="key",
    order=7,
    found_by=("execution_id", "position"),
)
#: Turns a queued run into a running one: its outcome, and which run that is.
START_RUN = statement("start_run")
