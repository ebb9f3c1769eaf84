"""The queue's own tables, and what asynchronous runs need beside their rows."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models
from procrastinate.schema import SchemaManager

from executor.sql import statement


def create_queue(apps: Any, schema_editor: Any) -> None:
    """Apply procrastinate's schema, as the pinned release brings it, unless it is there."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('procrastinate_jobs') IS NULL")
        if cursor.fetchone() == (True,):
            cursor.execute(SchemaManager.get_schema())


class Migration(migrations.Migration):
    dependencies = [("executor", "0004_approvals_and_schedules")]

    operations = [
        migrations.RunPython(create_queue, migrations.RunPython.noop),
        migrations.AddField(
            model_name="commandrun",
            name="sealed",
            field=models.TextField(db_default="", default="", editable=False),
        ),
        migrations.AddField(
            model_name="commandrun",
            name="cancel_reason",
            field=models.CharField(
                db_default="", default="", max_length=300, verbose_name="reason of the cancel"
            ),
        ),
        migrations.RunSQL(statement("create_fleet")),
        migrations.RunSQL(statement("deliver_v1")),
        migrations.RunSQL(statement("queue_runs_v1")),
        migrations.RunSQL(statement("remember_v1")),
        migrations.RunSQL(statement("start_run_v1")),
        migrations.RunSQL(statement("enter_queue_v1")),
    ]
