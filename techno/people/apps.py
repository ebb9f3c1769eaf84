from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class PeopleConfig(AppConfig):
    """People: how they sign in, how they prove who they are, and what their roles let them do."""

    name = "techno.people"
    label = "people"
    verbose_name = "People"

    def ready(self) -> None:
        from techno.people import checks  # noqa: F401  (registers the system checks)
        from techno.people.adapters import events

        events.listen()
        post_migrate.connect(settle, sender=self, dispatch_uid="techno.people.settle")


def settle(**kwargs: Any) -> None:
    """After a migration: bring the roles of this release to what the release says of them."""
    from techno.people.settling import settle_roles

    settle_roles(kwargs["using"])
