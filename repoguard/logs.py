"""What is logged, and what is not: every line is JSON, and libraries say nothing that could hold a secret."""

from __future__ import annotations

from typing import Any

_TALKERS = ("azure", "boto3", "botocore", "google", "paramiko", "s3transfer", "urllib3")
"""Libraries that quote requests, signatures or answers as they came.

They are cut off, not only made quieter: a level is undone by the next library that sets it for all.
Calls are in the request log (core.models.RequestLog) with what is secret masked.
"""


def config(level: str) -> dict[str, Any]:
    """Return Django's LOGGING for lines of at least `level`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "core.logs.JsonFormatter"}},
        "filters": {"context": {"()": "core.logs.ContextFilter"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["context"]},
            "nowhere": {"class": "logging.NullHandler"},
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": {"level": "INFO"},  # without the handlers that Django gives it
            # the access log has a line for each request; these would repeat it
            "django.server": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "django-q": {"level": "WARNING"},
            **{name: {"level": "WARNING"} for name in ("aiohttp.access", "asyncio", "axes")},
            **{name: {"level": "CRITICAL", "handlers": ["nowhere"], "propagate": False} for name in _TALKERS},
        },
    }
