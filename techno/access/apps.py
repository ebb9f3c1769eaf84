from django.apps import AppConfig


class AccessConfig(AppConfig):
    """API keys, scopes and roles."""

    name = "techno.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        from techno.access import checks  # noqa: F401  (registers the system checks)
