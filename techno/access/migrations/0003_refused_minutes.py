"""Gives refusals that are taken together one row an address and minute, of all processes."""

from django.db import migrations

from techno.access.sql import statement


class Migration(migrations.Migration):
    dependencies = [("access", "0002_restrictions_and_life")]
    operations = [
        migrations.RunSQL(statement("create_refused_minutes"), "DROP TABLE access_refused_minutes"),
    ]
