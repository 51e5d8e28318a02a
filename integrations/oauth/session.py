"""Which sign-ins a browser session has begun: a state that another session brings back is worth nothing."""

from __future__ import annotations

import uuid

from django.http import HttpRequest

_KEY = "oauth_sign_ins"
_MOST = 5


def remember(request: HttpRequest, id: uuid.UUID) -> None:
    """Note a sign-in that this session has begun; only the last few are kept."""
    request.session[_KEY] = [*remembered(request), str(id)][-_MOST:]


def remembered(request: HttpRequest) -> list[str]:
    """Return the sign-ins that this session has begun."""
    return [str(id) for id in request.session.get(_KEY, [])]


def forget(request: HttpRequest, id: uuid.UUID) -> None:
    """Strike a sign-in out."""
    request.session[_KEY] = [other for other in remembered(request) if other != str(id)]
