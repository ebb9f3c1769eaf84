from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executor", "0008_turns_over_all_actions")]

    operations = [
        migrations.AddField(
            model_name="commandrun",
            name="output_removed_at",
            field=models.DateTimeField(editable=False, null=True, verbose_name="output removed"),
        ),
        migrations.AddIndex(
            model_name="commandrun",
            index=models.Index(
                condition=models.Q(output_removed_at__isnull=True, output_bytes__gt=0),
                fields=["ended_at"],
                name="command_runs_with_output",
            ),
        ),
    ]
