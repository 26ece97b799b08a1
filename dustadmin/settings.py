"""Configure every environment from environment variables; a bad value stops the start.

Each variable is explained in `.env.example`. Anything that is not set gets a safe default:
sandbox only, loopback only, live trading off.
"""

import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import environ
from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from dustadmin import state

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")


def _flag(name: str, *, default: bool = False) -> bool:
    """Return a switch; only true and false are understood, so that a typo never turns one on."""
    text = str(env.str(name, default=str(default))).strip().lower()
    if text not in {"true", "false"}:
        raise ImproperlyConfigured(f"{name} must be true or false, not '{text}'.")
    return text == "true"


def _whole_number(name: str, *, least: int, most: int) -> int | None:
    """Return a whole number within its bounds, or None if it is not set."""
    text = env.str(name, default="").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {least} to {most}, not '{text}'."
        )
    return int(text)


def _base_urls(name: str) -> dict[str, str]:
    text = env.str(name, default="").strip()
    if not text:
        return {}
    try:
        urls = json.loads(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not valid JSON: {error}.") from None
    if not isinstance(urls, dict):
        raise ImproperlyConfigured(f"{name} must map an exchange id to a base URL.")
    for exchange, url in urls.items():
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ImproperlyConfigured(f"{name}: the base URL of '{exchange}' is not an http URL.")
    return {exchange: url.rstrip("/") for exchange, url in urls.items()}


def _state_folder() -> Path:
    folder = Path(env.str("DUSTADMIN_STATE_DIR", default=str(BASE_DIR / "var")))
    try:
        return state.prepared(folder)
    except OSError as error:
        raise ImproperlyConfigured(
            f"DUSTADMIN_STATE_DIR {folder} can't be used: {error.strerror}."
        ) from None


# --- State, keys, databases ---------------------------------------------------------------------

STATE_DIR = _state_folder()
SECRET_KEY = env.str("DUSTADMIN_SECRET_KEY", default="") or state.generated_key(
    STATE_DIR / "secret_key", secrets.token_urlsafe(48)
)
CREDENTIAL_KEYS = env.list("DUSTADMIN_CREDENTIAL_KEYS", default=[]) or [
    state.generated_key(STATE_DIR / "credential_key", Fernet.generate_key().decode())
]
for _key in CREDENTIAL_KEYS:
    try:
        Fernet(_key)
    except ValueError:
        raise ImproperlyConfigured(
            "DUSTADMIN_CREDENTIAL_KEYS: each key must be 32 url-safe base64-encoded bytes."
        ) from None

try:
    _database: dict[str, Any] = env.db_url_config(
        env.str("DATABASE_URL", default="")
        or f"sqlite:///{quote(str(STATE_DIR / 'dust-admin.sqlite3'))}"
    )
except (ValueError, environ.ImproperlyConfigured):
    raise ImproperlyConfigured("DATABASE_URL is not a database URL.") from None
if _database.get("ENGINE") == "django.db.backends.sqlite3":
    # IMMEDIATE: a transaction that will write takes the lock at once and waits for it, instead of
    # failing with "database is locked" when it tries to upgrade a read.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    _database["CONN_MAX_AGE"] = 60
elif _database.get("ENGINE") == "django.db.backends.postgresql":
    _options = _database.get("OPTIONS", {})
    if not _database["NAME"] and "service" not in _options:
        raise ImproperlyConfigured("DATABASE_URL names no database.")
    # A Unix socket's folder, in libpq's two spellings: ?host=/run/postgresql and @%2Frun%2F….
    _database["HOST"] = unquote(_options.pop("host", _database["HOST"]))
    # PostgreSQL's own patience never ends: with a lock, with a client that hangs inside a
    # transaction and holds its locks, with a network that is gone. What the URL says wins.
    _database["OPTIONS"] = {
        "application_name": "dust-admin",
        "connect_timeout": 5,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "options": "-c lock_timeout=30s -c idle_in_transaction_session_timeout=60s",
        **_options,
    }
    # Requests keep their connections for a minute; Celery closes a task's when it ends.
    _database.setdefault("CONN_MAX_AGE", 60)
    _database.setdefault("CONN_HEALTH_CHECKS", True)
else:
    raise ImproperlyConfigured("DATABASE_URL must name SQLite or PostgreSQL.")
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The embedded server's address unless the operator brings a Redis. `manage.py up` starts it there.
VALKEY_SOCKET = state.valkey_socket(STATE_DIR)
EMBEDDED_VALKEY = not env.str("REDIS_URL", default="")
REDIS_URL = env.str("REDIS_URL", default="") or f"unix://{VALKEY_SOCKET}"
if urlsplit(REDIS_URL).scheme not in {"redis", "rediss", "unix"}:
    raise ImproperlyConfigured("REDIS_URL must start with redis://, rediss:// or unix://.")

# --- Trading ------------------------------------------------------------------------------------

DUSTADMIN_LIVE_TRADING = _flag("DUSTADMIN_LIVE_TRADING")
DUSTADMIN_SNAPSHOT_INTERVAL = _whole_number("DUSTADMIN_SNAPSHOT_INTERVAL", least=0, most=86_400)
DUSTADMIN_EXCHANGE_BASE_URLS = _base_urls("DUSTADMIN_EXCHANGE_BASE_URLS")
# Request weight is counted per address: workers that send from the same one give it the same name.
DUSTADMIN_EGRESS_ADDRESS: str = env.str("DUSTADMIN_EGRESS_ADDRESS", default="").strip()
# How long the exchange may accept a request after it was signed. Short: an unknown order waits
# for this to pass before its absence can be proved.
DUSTADMIN_SIGNATURE_WINDOW_MS: int = (
    _whole_number("DUSTADMIN_SIGNATURE_WINDOW_MS", least=1_000, most=60_000) or 5_000
)
# A bot's token may ask so often; more is refused with 429.
DUSTADMIN_BOT_REQUESTS_PER_MINUTE: int = (
    _whole_number("DUSTADMIN_BOT_REQUESTS_PER_MINUTE", least=1, most=1_000_000) or 600
)

# --- Django -------------------------------------------------------------------------------------

DEBUG = False
ALLOWED_HOSTS = env.list("DUSTADMIN_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("DUSTADMIN_TRUSTED_ORIGINS", default=[])
DUSTADMIN_HTTPS = _flag("DUSTADMIN_HTTPS")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = DUSTADMIN_HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if DUSTADMIN_HTTPS else None
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

INSTALLED_APPS = [
    "positions.admin.apps.HistoryConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_htmx",
    "ninja",  # its documentation page's files are served from here
    "positions",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Pages; WhiteNoise has compressed the files. Tokens in them are masked anew with each answer.
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "dustadmin.urls"
WSGI_APPLICATION = "dustadmin.wsgi.application"
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
                "positions.views.context.bar",
            ]
        },
    }
]
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = ["dustadmin.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
# Sign-in attempts are counted in files, so that they are counted without Redis as well and by all
# web processes together.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": STATE_DIR / "cache",
    }
}
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns about a folder that is not there
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "dustadmin.static_files.CollectedOrPlain"},
}
WHITENOISE_USE_FINDERS = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
    }
}

# --- People -------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "positions:account_list"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "positions.views.sign_in.ClosedSignUp"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_RATE_LIMITS = {"login_failed": "5/5m/ip,5/5m/key"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"

# --- Logs ---------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "positions": {"level": "INFO"},
        # urllib3 logs request lines, which carry signatures, below WARNING; ccxt logs none.
        "urllib3": {"level": "WARNING"},
        "ccxt": {"level": "WARNING"},
    },
}
