"""Django settings. Every value that differs between installations comes from the environment (docs/settings.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from repoguard import keys, logs, openapi, unfold
from repoguard.env import locate, process_environment
from repoguard.rooms import BADGE_SOURCES as BADGE_SOURCES
from repoguard.rooms import EVENT_SINKS as EVENT_SINKS
from repoguard.rooms import FINDINGS_SOURCE as FINDINGS_SOURCE
from repoguard.rooms import REPORT_SOURCE as REPORT_SOURCE

BASE_DIR = Path(__file__).resolve().parent.parent
_ENV_FILE, DATA_DIR = locate(BASE_DIR)
ENV = process_environment(fallback=keys.read(DATA_DIR) | _ENV_FILE)
ENV.text("REPOGUARD_ENV_FILE", "./.env", "File of `NAME=value` lines, read below the environment.")
ENV.text("REPOGUARD_DATA_DIR", "./var", "Folder for the generated keys, the SQLite database and run-time files.")

# --- What kind of installation this is -------------------------------------------------------------------------------
MODE = ENV.text("REPOGUARD_MODE", "local", "`local` or `production`. Production refuses unsafe settings and insists on HTTPS.")
PRODUCTION = MODE == "production"
DEBUG = ENV.switch("DEBUG", False, "Django's debug pages. Never in production.")
SECRET_KEY = ENV.text("SECRET_KEY", "", "Signs sessions and queued tasks, marks tickets. `make run` generates one.", secret=True)
FERNET_KEYS = ENV.words("FERNET_KEYS", [], "Keys that encrypt stored secrets: the first encrypts, all decrypt.", secret=True)
ALLOWED_HOSTS = ENV.words("ALLOWED_HOSTS", [] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"], "Host names the portal answers to.")
CSRF_TRUSTED_ORIGINS = ENV.words("CSRF_TRUSTED_ORIGINS", [], "Origins (https://host) whose forms are accepted behind a proxy.")
PORT = ENV.integer("PORT", 8000, "TCP port of the web server.", low=1, high=65535)
BIND = ENV.text("BIND", "127.0.0.1", "Address the web server listens on.")
PUBLIC_URL = ENV.text(
    "PUBLIC_URL", f"http://localhost:{PORT}", "Address of the portal as people and other systems reach it.", shown="http://localhost:$PORT"
)
WEB_PROCESSES = ENV.integer("WEB_PROCESSES", 2, "Web server processes.", low=1)
WEB_THREADS = ENV.integer("WEB_THREADS", 4, "Threads in each web server process.", low=1)
if MODE not in {"local", "production"}:
    raise ImproperlyConfigured(f"REPOGUARD_MODE is {MODE!r}; set it to local or production.")
if not SECRET_KEY or not FERNET_KEYS:
    raise ImproperlyConfigured(
        f"SECRET_KEY and FERNET_KEYS are not set, and {DATA_DIR} has none. Where the portal's data is elsewhere, set REPOGUARD_DATA_DIR to "
        "it. Else run `make setup` to generate them for a local installation, or set both (or SECRET_KEY_FILE and FERNET_KEYS_FILE) in "
        "production."
    )
FERNET_USE_HKDF = True

# --- Applications ----------------------------------------------------------------------------------------------------
# core stands before django_q: its `qcluster` command adds the parent-death signal to django-q2's.
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # its default one would put its own admin site in the place of ours
    "unfold.contrib.filters",
    "repoguard.admin_app.RepoGuardAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_ratelimit",
    "django_htmx",
    "axes",
    "core",
    "access",
    "integrations",
    "templates_app",
    "webhooks",
    "scans",
    "builds",
    "repoguard",
    "django_q",
]
MIDDLEWARE = [
    "core.context.RequestContextMiddleware",
    "core.logs.AccessLogMiddleware",
    "core.api.head.NoBodyMiddleware",
    "access.middleware.ForwardedProtoMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "core.api.slashes.TrailingSlashMiddleware",
    "core.api.direct.DirectMiddleware",
    "core.api.limits.BodyLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "access.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "repoguard.urls"
WSGI_APPLICATION = "repoguard.wsgi.application"
APPEND_SLASH = False  # every route answers with and without the slash, without a redirect
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "repoguard" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database and caches ---------------------------------------------------------------------------------------------
ENV.text("DATABASE_URL", "", "`postgres://user:password@host:5432/name`; SQLite in the data folder when unset.", secret=True)
DATABASES = {"default": ENV.database("DATABASE_URL", DATA_DIR / "db.sqlite3")}
REDIS_URL = ENV.redis("REDIS_URL", "redis://host:6379/0", "`redis://host:6379/0` for the cache; the database holds it when unset.")
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "counters": {"BACKEND": "core.counters.CounterCache", "LOCATION": str(DATA_DIR / "counters.sqlite3")},
}
if REDIS_URL:
    # a Redis that swallows packets must not hold requests
    _redis = {"socket_connect_timeout": 2, "socket_timeout": 2}
    CACHES = {name: {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "OPTIONS": _redis} for name in CACHES}
RATELIMIT_USE_CACHE = "counters"
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.W001"]  # it knows only the caches by name; core.counters is atomic, and tested so
if not PRODUCTION:  # what Django says of plain HTTP is no news on one's own machine
    SILENCED_SYSTEM_CHECKS += [f"security.{name}" for name in ("W004", "W008", "W012", "W016", "W021")]

# --- Queue: two django-q2 clusters on the database ------------------------------------------------------------------
WORKERS = ENV.integer("WORKERS", 2, "Processes of the default cluster (housekeeping, scans).", low=1)
DELIVERY_DRAINS = ENV.integer("DELIVERY_DRAINS", 1, "Processes of this machine that send webhooks; one moves thousands a second.", low=1)
DELIVERY_SLOTS = ENV.integer("DELIVERY_SLOTS", 500, "Requests that one delivery process may have open at once.", low=1)
DESTINATION_THREADS = ENV.integer("DESTINATION_THREADS", 16, "Deliveries that one process makes in threads, by several calls each.", low=1)
TASK_TIMEOUT = ENV.integer("TASK_TIMEOUT", 900, "Seconds after which a task of the default cluster is ended.", low=10)
WATCHDOG_SECONDS = ENV.integer("WATCHDOG_SECONDS", 15, "A cluster of workers without a sign of life for so long is started anew.", low=5)
# retry must exceed timeout x (queue_limit / workers + 2): the lock starts when the pusher takes the task
Q_CLUSTER: dict[str, Any] = {
    "name": "default",
    "orm": "default",
    "broker_class": "core.broker.DatabaseBroker",
    "workers": WORKERS,
    "queue_limit": WORKERS,
    "timeout": TASK_TIMEOUT,
    "retry": TASK_TIMEOUT * 3 + 60,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": 0,
    "poll": 0.2,
    "catch_up": False,
    "recycle": 500,
    "label": "Background tasks",
    "ALT_CLUSTERS": {
        "deliveries": {
            "workers": DELIVERY_DRAINS + 1,
            "queue_limit": DELIVERY_DRAINS + 1,
            "timeout": 60,
            "retry": 60 * 3 + 60,
            "max_attempts": 1,
            "ack_failures": True,
            "save_limit": 0,
            "poll": 0.2,
            "recycle": 1_000_000,  # a recycled worker would drop the sends that its event loop has in flight
        }
    },
}

QUEUE_URL = ENV.redis("QUEUE_URL", "redis://host:6379/1", "`redis://host:6379/1` for messages that wake workers; else the database.")
if QUEUE_URL:
    del Q_CLUSTER["orm"]
    Q_CLUSTER |= {"redis": QUEUE_URL, "broker_class": "core.broker.RedisBroker"}

# --- Deliveries and events -------------------------------------------------------------------------------------------
EVENT_MAX_BYTES = ENV.integer("EVENT_MAX_BYTES", 5 * 1024 * 1024, "Largest `data` of one event, in bytes of JSON.", low=1024)
BUILDS_CSV_MAX_BYTES = ENV.integer(
    "BUILDS_CSV_MAX_BYTES", 2 * 1024**3, "Largest CSV file of builds that may be uploaded, in bytes as sent.", low=1024
)
INVENTORY_MAX_BYTES = ENV.integer(
    "INVENTORY_MAX_BYTES",
    16 * 1024 * 1024,
    "Largest lock file or SBOM, in bytes, also unpacked. Reading it takes some six times as much.",
    low=1024,
)
SCAN_MAX_BYTES = ENV.integer("SCAN_MAX_BYTES", 256 * 1024 * 1024, "Largest scanner report, in bytes, also unpacked.", low=1024)
SCAN_REUSE_SECONDS = ENV.integer(
    "SCAN_REUSE_SECONDS", 3600, "How long a completed scan of a commit answers further requests for it, in seconds.", low=0
)
API_MAX_BODY_BYTES = ENV.integer("API_MAX_BODY_BYTES", 10 * 1024 * 1024, "Largest body of one API request, in bytes.", low=1024)
INBOUND_MAX_BODY_BYTES = ENV.integer("INBOUND_MAX_BODY_BYTES", 25 * 1024 * 1024, "Largest body of one inbound webhook, in bytes.", low=1024)
INBOUND_LARGE_BODIES = ENV.integer("INBOUND_LARGE_BODIES", 2, "Inbound bodies over 1 MB that one web process holds at once.", low=1)
EGRESS_ALLOW_CIDRS = ENV.networks(
    "EGRESS_ALLOW_CIDRS", [], "Inner networks that outbound calls may reach (`10.0.0.0/8,127.0.0.1/32`); also the only hosts for http://."
)
TRUSTED_PROXIES = ENV.networks("TRUSTED_PROXIES", [], "Networks of proxies whose X-Forwarded-For and -Proto are believed.")
STORAGE_LOCAL_ROOT = ENV.text(
    "STORAGE_LOCAL_ROOT", "", "Folder below which storage integrations may keep files on this machine; empty: none may."
)
API_KEY_RATE = ENV.integer("API_KEY_RATE", 100, "Requests per minute of an API key that has no rate of its own.", low=1)
INITIAL_API_KEY = ENV.text(
    "INITIAL_API_KEY", "", "An admin API key to create at the first start (`rg_` and at least 40 characters).", secret=True
)
ADMIN_USERNAME = ENV.text("ADMIN_USERNAME", "admin", "Name of the first admin user.")
ADMIN_PASSWORD = ENV.text("ADMIN_PASSWORD", "", "Password of the first admin user; generated and printed once when unset.", secret=True)
LOG_LEVEL = ENV.text("LOG_LEVEL", "INFO", "Least severe log lines that are written: DEBUG, INFO, WARNING or ERROR.").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}; set it to DEBUG, INFO, WARNING or ERROR.")
METRICS_TOKEN = ENV.text("METRICS_TOKEN", "", "Bearer token of /metrics; without one it answers to this machine only.", secret=True)

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["access.authentication.ApiKeyAuthentication", "access.authentication.AdminSessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["access.permissions.ScopePermission"],
    "DEFAULT_THROTTLE_CLASSES": ["access.throttling.KeyRateThrottle"],
    "DEFAULT_FILTER_BACKENDS": ["access.permissions.VisibleRowsFilter", "core.api.filters.StrictFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "core.api.pagination.NewestFirstPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.RepoGuardSchema",
    "EXCEPTION_HANDLER": "core.api.errors.handle_exception",
    "UNICODE_JSON": False,  # a lone surrogate in posted data is valid JSON as an escape, and can't be sent as UTF-8
}
SPECTACULAR_SETTINGS = openapi.SPECTACULAR

# --- Security headers, sessions, login throttling --------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^api/(v1/)?health/?$", r"^metrics$"]  # probes speak plain HTTP to the container
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
DATA_UPLOAD_MAX_MEMORY_SIZE = API_MAX_BODY_BYTES
# unfold's Alpine.js evaluates its attributes, hence unsafe-eval; nothing is loaded from another host
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False
AXES_CLIENT_IP_CALLABLE = "access.addresses.client_address"
AXES_LOCKOUT_CALLABLE = "access.lockout.locked_out"
AXES_USERNAME_CALLABLE = "access.lockout.attempted_name"
CSRF_FAILURE_VIEW = "core.api.errors.csrf_failure"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
UNFOLD = unfold.UNFOLD
LOGGING = logs.config(LOG_LEVEL)
UNKNOWN_SETTINGS = ENV.unknown(_ENV_FILE)  # last, when all others have been asked for
