"""Gives lists behind a reason code and another filter entries and indexes of their own."""

from django.db import migrations, models

from audit.sql import statement

ADDED = ("also", "status", "action", "key_prefix", "session_id", "user_ip")


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_permissions")]
    operations = [
        migrations.RunSQL(
            statement("create_code_filters"),
            migrations.RunSQL.noop,
            state_operations=[
                migrations.DeleteModel("AuditTraceCode"),
                migrations.CreateModel(
                    name="AuditTraceCode",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "code",
                                "also",
                                "timestamp",
                                "trace_id",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("code", models.TextField()),
                        ("timestamp", models.DateTimeField()),
                        ("trace_id", models.UUIDField()),
                        *((name, models.TextField()) for name in ADDED),
                    ],
                    options={"db_table": "audit_trace_codes", "default_permissions": ()},
                ),
            ],
        )
    ]
