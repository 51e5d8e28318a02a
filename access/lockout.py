"""What somebody sees who failed to log in too often (django-axes counts, settings.AXES_LOCKOUT_CALLABLE)."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from axes.helpers import get_cool_off
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TOO_MANY = 429


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """Return a page that says how long to wait. It does not say whether the user exists."""
    wait: timedelta = get_cool_off(request) or timedelta(0)
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    response = render(request, "access/locked_out.html", {"minutes": minutes}, status=TOO_MANY)
    response["Retry-After"] = str(max(1, int(wait.total_seconds())))
    return response
