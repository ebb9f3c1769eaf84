"""The verbs of ``manage.py audit``, one module each: ``HELP``, ``configure`` and ``run``."""
