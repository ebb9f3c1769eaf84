from django.apps import AppConfig


class DiagnosticsConfig(AppConfig):
    """Memory, metrics, health and readiness."""

    name = "diagnostics"
    verbose_name = "Diagnostics"
