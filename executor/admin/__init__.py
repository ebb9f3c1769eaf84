"""Actions and runs in the portal, one module for each noun."""

from executor.admin import actions, runs

__all__ = ["actions", "runs"]
