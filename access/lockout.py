"""Failed logins: under which name django-axes counts them, and what somebody sees who failed too often."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from axes.helpers import get_cool_off
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TOO_MANY = 429
LONGEST_NAME = 255  # what axes' table holds


def locked_out(
    request: HttpRequest, original_response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """Return a page that says how long to wait. It does not say whether the user exists."""
    wait: timedelta = get_cool_off(request) or timedelta(0)
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    response = render(request, "access/locked_out.html", {"minutes": minutes}, status=TOO_MANY)
    response["Retry-After"] = str(max(1, int(wait.total_seconds())))
    return response


def attempted_name(request: HttpRequest | None, credentials: dict[str, Any] | None = None) -> str | None:
    """Return the name a login was tried with, cut to what can be stored: also an absurd one is counted, and answered."""
    name = credentials.get("username") if credentials else request.POST.get("username") if request is not None else None
    return None if name is None else str(name).replace("\0", "")[:LONGEST_NAME]
