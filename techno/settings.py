"""Django's settings. What may differ between installations is read in :mod:`techno.env`."""

from __future__ import annotations

import structlog
from csp.constants import NONE, SELF

from techno import env

VERSION = "0.1.0"
BASE_DIR = env.BASE_DIR
VAR_DIR = env.VAR_DIR

SECRET_KEY = env.secret_key()
DEBUG = env.flag("TECHNO_DEBUG", default=False)
ALLOWED_HOSTS = env.words("TECHNO_ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]", env.HOST]
CSRF_TRUSTED_ORIGINS = env.words("TECHNO_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "techno.portal",
    "techno.web",
    "techno.access",
    "audit",
    "executor",
    "diagnostics",
    "techno.portal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "corsheaders",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "techno.people",
]

# The API needs none of the portal's session machinery: the first class takes governed requests
# straight to their views (techno/web/direct.py). What shall act on them too stands before it.
MIDDLEWARE = [
    "techno.web.cors.ConsoleOrigins",
    "techno.web.middleware.GovernedRequests",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "techno.web.portal_middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "techno.web.portal_middleware.LocaleMiddleware",
    "techno.web.portal_middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "techno.web.portal_middleware.AuthenticationMiddleware",
    "techno.people.session_life.SessionLife",
    "techno.web.portal_middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "techno.portal.middleware.PortalPages",
    "allauth.account.middleware.AccountMiddleware",  # its app wants exactly this name
]

ROOT_URLCONF = "techno.urls"
WSGI_APPLICATION = "techno.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "techno.people.account_pages.portal_around",
            ]
        },
    }
]

# One persistent connection a thread for the portal; the hot path has connections of its own
# with deadlines (techno/database). ATOMIC_REQUESTS stays off: an audit row must not be rolled
# back together with the request that it tells of.
DATABASES = {
    "default": {
        "ENGINE": "techno.database.backend",
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        **env.database(),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Attempts to sign in are counted here: in PostgreSQL, so that all processes and hosts count
# together. Nothing on the hot path uses it.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "people_attempts",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
}

# Hashes of the older kinds are replaced when their owner signs in.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("pt-br", "Português do Brasil")]
LOCALE_PATHS = [BASE_DIR / "techno" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = None  # served from where the apps keep them (WHITENOISE_USE_FINDERS)
STATICFILES_DIRS = [BASE_DIR / "techno" / "portal" / "assets"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

BEHIND_HTTPS = env.flag("TECHNO_HTTPS", default=False)
SESSION_IDLE_S = env.seconds("TECHNO_SESSION_IDLE_S", default=1_800, least=60, most=86_400)
SESSION_LIFE_S = env.seconds("TECHNO_SESSION_LIFE_S", default=28_800, least=300, most=604_800)
SESSION_COOKIE_AGE = int(SESSION_LIFE_S)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
if BEHIND_HTTPS:  # browsers take these names only from this very host, and only by https
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SESSION_COOKIE_SECURE = BEHIND_HTTPS
CSRF_COOKIE_SECURE = BEHIND_HTTPS
SECURE_SSL_REDIRECT = False
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_HTTPS else 0
# Left to whoever runs the domain and its proxy: whether its other names have https too (W005), a
# browsers' list that holds for years (W021), and leading from http to https (W008).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Nothing inline, nothing from elsewhere: output of commands is shown on these pages.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# Consoles in browsers, at other origins. They send keys in a header, never cookies.
CORS_ALLOWED_ORIGINS = env.words("TECHNO_CORS_ORIGINS")
CORS_ALLOW_CREDENTIALS = False
CORS_URLS_REGEX = r"\A(?:/api/.*|/process|/audit/fetch)\Z"
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS"]
CORS_ALLOW_HEADERS = [
    "content-type",
    "idempotency-key",
    "prefer",
    "x-api-key",
    "x-session-id",
]
CORS_EXPOSE_HEADERS = [
    "link",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "warning",
    "x-trace-id",
]
CORS_PREFLIGHT_MAX_AGE = 600
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"

# People: signing in (django-allauth), second factors, single sign-on.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SECOND_FACTOR = env.text("TECHNO_SECOND_FACTOR", "auto")
PROOF_S = env.seconds("TECHNO_PROOF_S", default=900, least=60, most=86_400)
ACCOUNT_ADAPTER = "techno.people.adapters.account.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False  # the cookie goes with the browser
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_REAUTHENTICATION_TIMEOUT = PROOF_S
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/5m/key"}
USERSESSIONS_ADAPTER = "techno.people.adapters.sessions.SessionsAdapter"
MFA_ADAPTER = "techno.people.adapters.second_factors.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_FORMS = {
    "add_webauthn": "techno.people.adapters.forms.AddPasskey",
    "authenticate_webauthn": "techno.people.adapters.forms.AuthenticatePasskey",
    "login_webauthn": "techno.people.adapters.forms.LoginPasskey",
    "reauthenticate_webauthn": "techno.people.adapters.forms.ReauthenticatePasskey",
}
MFA_TOTP_ISSUER = "Techno OS"
MFA_RECOVERY_CODES_SHOW_ONCE = True
SOCIALACCOUNT_ADAPTER = "techno.people.adapters.single_sign_on.SingleSignOnAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
# A link and no form: form-action 'self' forbids a form to lead to the provider. Nothing is
# gained by making somebody follow it: they would sign in as themselves.
SOCIALACCOUNT_LOGIN_ON_GET = True
OIDC_GROUPS = env.words("TECHNO_OIDC_GROUPS")
OIDC_GROUPS_CLAIM = env.text("TECHNO_OIDC_GROUPS_CLAIM", "groups")
OIDC_MFA = env.flag("TECHNO_OIDC_MFA", default=False)
SOCIALACCOUNT_PROVIDERS = env.single_sign_on()

# Governed requests.
BODY_LIMIT_BYTES = env.whole(
    "TECHNO_BODY_LIMIT_BYTES", default=65_536, least=1_024, most=16_777_216
)
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_LIMIT_BYTES
TRUSTED_PROXIES = env.words("TECHNO_TRUSTED_PROXIES")
ANSWER_DEADLINE_S = env.seconds("TECHNO_ANSWER_DEADLINE_S", default=14.5, least=1, most=600)
STRICT_PROGRAMS = env.flag("TECHNO_STRICT_PROGRAMS", default=False)
RUN_SLOTS = env.whole("TECHNO_RUN_SLOTS", default=8, least=1, most=256)
RUN_WAITERS = env.whole("TECHNO_RUN_WAITERS", default=4, least=0, most=256)
RUNS_MOST = env.whole("TECHNO_RUNS_MOST", default=0, least=0, most=100_000)
QUEUED_MOST_S = env.seconds("TECHNO_QUEUED_MOST_S", default=86_400, least=1, most=2_592_000)
OUTPUT_KEEP_DAYS = env.whole("TECHNO_OUTPUT_KEEP_DAYS", default=0, least=0, most=36_500)
WORKER_QUEUES = env.words("TECHNO_WORKER_QUEUES", "default")
WORKER_CONCURRENCY = env.whole("TECHNO_WORKER_CONCURRENCY", default=4, least=1, most=64)
TERMINAL_APPROVALS = env.flag("TECHNO_TERMINAL_APPROVALS", default=False)
SCHEDULE_GRACE_S = env.seconds("TECHNO_SCHEDULE_GRACE_S", default=60, least=5, most=3600)
FOLLOWERS = env.whole("TECHNO_FOLLOWERS", default=3, least=0, most=256)
ENVIRONMENT_API_KEY = env.secret("TECHNO_API_KEY")
KEY_PEPPER = env.key_pepper()
KEY_PEPPER_PREVIOUS = env.secret("TECHNO_KEY_PEPPER_PREVIOUS")
KEY_LIFETIME_MOST_DAYS = env.whole(
    "TECHNO_KEY_LIFETIME_MOST_DAYS", default=365, least=1, most=3_650
)
ADDRESS_REQUESTS_MOST = env.whole(
    "TECHNO_ADDRESS_REQUESTS_MOST", default=0, least=0, most=1_000_000
)
ADDRESS_WINDOW_S = env.whole("TECHNO_ADDRESS_WINDOW_S", default=60, least=1, most=86_400)
REFUSALS_A_MINUTE_MOST = env.whole(
    "TECHNO_REFUSALS_A_MINUTE_MOST", default=20, least=1, most=1_000_000
)
KEY_CACHE_S = env.seconds("TECHNO_KEY_CACHE_S", default=2.0, least=0, most=4)
STORE_DEADLINE_S = env.seconds("TECHNO_STORE_DEADLINE_S", default=0.8, least=0.1, most=10)
JOURNAL_CAP_BYTES = env.whole(
    "TECHNO_JOURNAL_CAP_BYTES", default=268_435_456, least=8_388_608, most=68_719_476_736
)
AUDIT_ORIGIN = env.text("TECHNO_AUDIT_ORIGIN")
AUDIT_PUBLISH_DIR = env.text("TECHNO_AUDIT_PUBLISH_DIR")
AUDIT_PUBLISH_URLS = env.words("TECHNO_AUDIT_PUBLISH_URLS")
AUDIT_WITNESSES = env.words("TECHNO_AUDIT_WITNESSES")
AUDIT_WITNESS_KEYS = env.words("TECHNO_AUDIT_WITNESS_KEYS")
CHECKPOINT_EVERY_S = env.seconds("TECHNO_CHECKPOINT_EVERY_S", default=5, least=1, most=10)
KEY_SNAPSHOT_S = env.seconds("TECHNO_KEY_SNAPSHOT_S", default=900, least=0, most=86_400)
PORTAL_DEADLINE_S = env.seconds("TECHNO_PORTAL_DEADLINE_S", default=20.0, least=1, most=600)
# How long one statement of a migration may take: an index over ten million rows is minutes.
MIGRATION_DEADLINE_S = 6 * 3600.0
APP_ROLE = env.text("TECHNO_APP_ROLE", "techno_app")
METRICS_TOKEN = env.secret("TECHNO_METRICS_TOKEN")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["techno.web.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["techno.web.permissions.ScopeRequired"],
    "DEFAULT_RENDERER_CLASSES": ["techno.web.renderer.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["techno.web.parser.StrictJSONParser"],
    "DEFAULT_FILTER_BACKENDS": [],
    "EXCEPTION_HANDLER": "techno.web.exceptions.envelope_for",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Techno OS",
    "DESCRIPTION": "Registered commands on real hosts, with an audit row for every answer.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "StatusEnum": "techno.governance.status.Status",
        "RunStateEnum": "executor.models.RunState",
    },
}

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
LOG_LEVEL = env.text("TECHNO_LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Governed refusals are told by the audit log; Django would log each 4xx once more.
        "django.request": {"level": "ERROR"},
        "django.server": {"level": "WARNING"},
    },
}
