from django.apps import AppConfig


class ExecutorConfig(AppConfig):
    """Actions, runs, approvals and workers."""

    name = "executor"
    verbose_name = "Executor"

    def ready(self) -> None:
        # Registers the system checks, and the writes that the journal may hold.
        from executor import checks, statements  # noqa: F401
