"""Creates the tree over all rows and queues the rows that are there already."""

from django.db import migrations

from audit.sql import statement


class Migration(migrations.Migration):
    dependencies = [("audit", "0002_adopt_rows")]
    operations = [migrations.RunSQL(statement("create_proof"), migrations.RunSQL.noop)]
