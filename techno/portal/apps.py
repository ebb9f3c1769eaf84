from django.apps import AppConfig


class PortalConfig(AppConfig):
    """The admin site as the operators' home."""

    name = "techno.portal"
    label = "portal"
    verbose_name = "Portal"
