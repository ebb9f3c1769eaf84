from typing import Any

from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class WebConfig(AppConfig):
    """HTTP: the governed request, the envelope, and what a migration leaves to be set up."""

    name = "techno.web"
    label = "web"

    def ready(self) -> None:
        from audit import recorder
        from executor import local_run
        from techno.people.adapters import records
        from techno.web import checks, instruments  # noqa: F401  (registers the system checks)

        recorder.WRITE_OBSERVERS.append(instruments.audit_write_observed)
        local_run.RUN_OBSERVERS.append(instruments.run_ended)
        records.REFUSAL_OBSERVERS.append(instruments.sign_in_refused)
        # Django sends the signal only for apps with models, and only after all migrations ran.
        post_migrate.connect(
            settle_database,
            sender=apps.get_app_config("audit"),
            dispatch_uid="techno.settle_database",
        )


def settle_database(**kwargs: Any) -> None:
    """After a migration: tell the database the codes, and give the running role its rights."""
    from django.conf import settings
    from django.db import connections

    from audit.code_statuses import write_code_statuses
    from techno.database.privileges import grant_running_role

    with connections[kwargs["using"]].cursor() as cursor:
        cursor.execute(
            "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class "
            "WHERE oid = to_regclass('audit_code_statuses')"
        )
        if cursor.fetchone() != (True,):  # no tables, or somebody else's: theirs to settle
            return
        write_code_statuses(cursor)
        grant_running_role(cursor, settings.APP_ROLE)
