"""WSGI entry point for gunicorn. It refuses an unsafe installation, as every command does."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from repoguard import checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "repoguard.settings")
application = get_wsgi_application()
checks.refuse_unsafe()
