"""The audit log in the portal. Importing this registers its pages."""

from audit.admin import exporting, traces, verifying

__all__ = ["exporting", "traces", "verifying"]
