from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.core.management import call_command
from django.db import migrations, models


def make_cache_table(apps: Any, schema_editor: Any) -> None:
    """Make the table of Django's cache, in which attempts to sign in are counted."""
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GroupRule",
            fields=[
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="rule",
                        serialize=False,
                        to="auth.group",
                    ),
                ),
                (
                    "requires_mfa",
                    models.BooleanField(
                        default=False,
                        help_text="Nobody in this group gets in without a second factor.",
                        verbose_name="members need a second factor",
                    ),
                ),
                (
                    "of_release",
                    models.BooleanField(
                        default=False, editable=False, verbose_name="comes with the release"
                    ),
                ),
            ],
            options={
                "verbose_name": "rule of a group",
                "verbose_name_plural": "rules of groups",
                "db_table": "people_group_rules",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="FirstPassword",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
            ],
            options={
                "db_table": "people_first_passwords",
                "default_permissions": (),
            },
        ),
        migrations.RunPython(make_cache_table, migrations.RunPython.noop),
    ]
