"""Keys in the portal."""

from techno.access.admin import keys

__all__ = ["keys"]
