"""Actions, runs and what waits for people in the portal, one module for each noun."""

from executor.admin import actions, approvals, runs, schedules

__all__ = ["actions", "approvals", "runs", "schedules"]
