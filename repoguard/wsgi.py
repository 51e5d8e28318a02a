"""WSGI entry point for gunicorn. It refuses an unsafe installation, as every command does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from repoguard import checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "repoguard.settings")
_handle = get_wsgi_application()
checks.refuse_unsafe()

from core.intake import time_input  # noqa: E402 - it reads the settings, which an unsafe installation does not get to


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request, whose body must arrive in time."""
    time_input(environ)
    return _handle(environ, start_response)
