"""Creates the audit tables, or adopts an ``audit_logs`` that another service writes."""

from django.db import migrations, models

from audit.sql import statement

FIVE = [
    ("timestamp", models.DateTimeField()),
    ("reason_codes", models.JSONField(default=list)),
    ("session_id", models.TextField(default="")),
    ("user_ip", models.TextField(default="")),
]


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        migrations.RunSQL(statement("check_adopted"), migrations.RunSQL.noop),
        migrations.RunSQL(
            statement("create_tables"),
            migrations.RunSQL.noop,
            state_operations=[
                migrations.CreateModel(
                    name="AuditLog",
                    fields=[
                        ("trace_id", models.UUIDField(primary_key=True, serialize=False)),
                        *FIVE,
                    ],
                    options={"db_table": "audit_logs", "default_permissions": ()},
                ),
                migrations.CreateModel(
                    name="AuditTrace",
                    fields=[
                        (
                            "trace_id",
                            models.UUIDField(
                                primary_key=True, serialize=False, verbose_name="trace id"
                            ),
                        ),
                        ("timestamp", models.DateTimeField(verbose_name="time")),
                        (
                            "reason_codes",
                            models.JSONField(default=list, verbose_name="reason codes"),
                        ),
                        ("session_id", models.TextField(default="", verbose_name="session")),
                        ("user_ip", models.TextField(default="", verbose_name="address")),
                        (
                            "status",
                            models.TextField(
                                choices=[
                                    (name, name)
                                    for name in (
                                        "APPROVED",
                                        "BLOCKED",
                                        "EXPIRED",
                                        "WARNING",
                                        "NEUTRAL",
                                    )
                                ]
                            ),
                        ),
                        ("action", models.TextField()),
                        ("method", models.TextField()),
                        ("path", models.TextField()),
                        (
                            "http_status",
                            models.SmallIntegerField(null=True, verbose_name="HTTP status"),
                        ),
                        (
                            "duration_ms",
                            models.IntegerField(null=True, verbose_name="duration (ms)"),
                        ),
                        ("principal_kind", models.TextField(verbose_name="caller's kind")),
                        ("principal_label", models.TextField(verbose_name="caller")),
                        ("key_prefix", models.TextField(verbose_name="key")),
                        ("execution_id", models.TextField(null=True, verbose_name="execution")),
                        ("message", models.TextField()),
                        ("host", models.TextField()),
                        ("user_agent", models.TextField(verbose_name="agent")),
                        ("detail", models.JSONField(default=dict)),
                        ("salt", models.TextField()),
                    ],
                    options={
                        "db_table": "audit_traces",
                        "verbose_name": "trace",
                        "verbose_name_plural": "traces",
                        "default_permissions": ("view",),
                    },
                ),
                migrations.CreateModel(
                    name="AuditTraceCode",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "code",
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
                    ],
                    options={"db_table": "audit_trace_codes", "default_permissions": ()},
                ),
            ],
        ),
        migrations.RunSQL(statement("create_partitions"), migrations.RunSQL.noop),
        migrations.RunSQL(statement("create_triggers"), migrations.RunSQL.noop),
    ]
