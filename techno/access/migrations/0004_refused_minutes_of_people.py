"""Lets other refusals than a stranger's be taken together: each minute says what it is about."""

from django.db import migrations

from techno.access.sql import statement


class Migration(migrations.Migration):
    dependencies = [("access", "0003_refused_minutes")]
    operations = [
        migrations.RunSQL(
            statement("describe_refused_minutes"),
            "ALTER TABLE access_refused_minutes DROP COLUMN about",
        ),
    ]
