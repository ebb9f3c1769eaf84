from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class PortalConfig(AppConfig):
    """The admin site as the operators' home."""

    name = "techno.portal"
    label = "portal"


class PortalAdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site in place of its own."""

    default = False  # named in the settings, not found by looking
    default_site = "techno.portal.site.PortalSite"
