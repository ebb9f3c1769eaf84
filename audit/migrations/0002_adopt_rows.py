"""Gives a companion to every row that an adopted table held before us.

The statuses of its codes are needed first, so they are written here and again, from the registry
of the day, after every later migration.
"""

from django.db import migrations

from audit.code_statuses import write_code_statuses
from audit.sql import statement


def fill(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        write_code_statuses(cursor)
        cursor.execute(statement("adopt_rows"))


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
