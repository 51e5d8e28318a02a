"""What keys do: requests and errors for each key, route and day, exact among any number of processes."""

from __future__ import annotations

import logging
import re
from functools import lru_cache

from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.utils import timezone

from access.models import ApiKey, ApiUsage

logger = logging.getLogger(__name__)
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_ALIAS = re.compile(r"^/api/(?!v\d)")
# one statement, so that concurrent requests of a key never lose a count
_UPSERT = """INSERT INTO access_apiusage (key_id, day, route, requests, errors) VALUES (%s, %s, %s, 1, %s)
    ON CONFLICT (key_id, day, route) DO UPDATE
    SET requests = access_apiusage.requests + 1, errors = access_apiusage.errors + excluded.errors"""


def count_use(key: ApiKey, request: HttpRequest, status_code: int) -> None:
    """Count a request that was answered with `status_code`. A failure to count is logged: it never costs an answer."""
    match = request.resolver_match
    route = f"{request.method} {route_pattern(match.route)}" if match else f"{request.method} unknown"
    key_id = ApiUsage._meta.get_field("key").get_db_prep_value(key.id, connection)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT, [key_id, timezone.now().date().isoformat(), route[:150], int(status_code >= 400)])
    except DatabaseError:
        logger.warning("usage_not_counted", exc_info=True)


@lru_cache(maxsize=1024)
def route_pattern(route: str) -> str:
    """Return Django's route as callers know it: the alias /api/ counts with the version it stands for."""
    return _ALIAS.sub("/api/v1/", "/" + _PARAMETER.sub(r"{\1}", route))
