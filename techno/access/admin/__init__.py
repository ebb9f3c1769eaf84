"""Who may do what, in the portal: one module for each noun."""

from techno.access.admin import keys, people

__all__ = ["keys", "people"]
