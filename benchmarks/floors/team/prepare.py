"""Makes the floor's tables and one key, and prints that key."""

import os
from io import StringIO

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.floors.team.settings"

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0, stdout=StringIO())
print(APIKey.objects.create_key(name="benchmark")[1])
