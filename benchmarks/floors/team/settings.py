"""The settings that `startproject` gives, without what only a portal needs, on PostgreSQL."""

import json
import os

SECRET_KEY = "a floor has no secret"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "benchmarks.floors.team.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_api_key",
    "benchmarks.floors.team",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
# A connection that stays is more than most installations of this kind have.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "CONN_MAX_AGE": None,
        **json.loads(os.environ["FLOOR_DATABASE"]),
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
API_KEY_CUSTOM_HEADER = "HTTP_X_API_KEY"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
