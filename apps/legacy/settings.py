"""Django's settings.

Nothing here names the prefix that the project is mounted at: it comes with each request, as `SCRIPT_NAME`.
"""

from __future__ import annotations

import os

from apps import var

VAR = var.folder("legacy")

SECRET_KEY = os.environ.get("LEGACY_SECRET_KEY") or var.secret_key(VAR)
DEBUG = False
# A leading dot stands for all subdomains: LEGACY_ALLOWED_HOSTS=.example.com,example.org
ALLOWED_HOSTS = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    *filter(None, os.environ.get("LEGACY_ALLOWED_HOSTS", "").split(",")),
]

INSTALLED_APPS = [
    "apps.legacy.inventory",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "apps.legacy.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / "legacy.db",
        # IMMEDIATE: a transaction that will write waits for its turn at once, instead of failing half way.
        "OPTIONS": {"timeout": 5, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode = WAL"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Names of its own: another Django on this host would take the same ones.
SESSION_COOKIE_NAME = "legacy_session"
CSRF_COOKIE_NAME = "legacy_csrftoken"

# Relative, so that Django puts the mount's prefix before it when it writes a link.
STATIC_URL = "static/"
# WhiteNoise sees the paths below the mount. It serves the files where the apps have them, without collectstatic.
WHITENOISE_STATIC_PREFIX = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False
# Its own test reads STATIC_URL while the project loads, when no request has told the prefix, and Django keeps that.
WHITENOISE_IMMUTABLE_FILE_TEST = r"\.[0-9a-f]{12}\."

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

# Logging is for the server that runs the project to set up: all records go to the root logger.
LOGGING_CONFIG = None
