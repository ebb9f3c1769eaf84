from django.apps import AppConfig


class AccessConfig(AppConfig):
    """API keys, scopes and roles."""

    name = "techno.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        # Registers the system checks, and a statement that the journal may hold.
        from techno.access import checks, refused_minutes  # noqa: F401
