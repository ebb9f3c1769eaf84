"""What our endpoints are measured against, each a Django project of its own.

``bare`` does nothing at all, ``team`` is what a team would write today, ``readers`` are the two
usual ways to list the audit rows. All run under ``gunicorn_conf``.
"""
