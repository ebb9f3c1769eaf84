from django.db import migrations

from executor.sql import statement


class Migration(migrations.Migration):
    dependencies = [
        ("executor", "0007_no_pattern_index"),
    ]

    operations = [
        migrations.RunSQL(statement("start_run_v2"), migrations.RunSQL.noop),
        migrations.RunSQL(
            "DROP FUNCTION executor_start_run_v1(text, text, text, integer)",
            migrations.RunSQL.noop,
        ),
    ]
