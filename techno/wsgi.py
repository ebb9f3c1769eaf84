"""The WSGI application that gunicorn serves."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "techno.settings")
django.setup(set_prefix=False)

from techno.web.direct import Handler  # noqa: E402 - it needs the settings

application = Handler()
