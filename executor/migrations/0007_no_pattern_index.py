from django.db import migrations

#: Django gives each text key a second index, for patterns. Nobody asks for runs by a pattern, and
#: each run would put its key into it twice.
DROP = "DROP INDEX IF EXISTS command_runs_execution_id_ae234570_like"


class Migration(migrations.Migration):
    dependencies = [
        ("executor", "0006_working_directory"),
    ]

    operations = [migrations.RunSQL(DROP, migrations.RunSQL.noop)]
