"""Every route answers with and without a trailing slash, for every method, without a redirect."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

# the admin's own routes all end in a slash; every other route of the portal is declared without one
SLASHED_PREFIX = "/admin"


class TrailingSlashMiddleware:
    """Rewrites `path_info` before routes are resolved; `path`, which the caller sees, stays as it came."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        request.path_info = canonical(request.path_info)
        return self.get_response(request)


def canonical(path: str) -> str:
    """Return the form of `path` that routes are declared in."""
    if path == SLASHED_PREFIX or path.startswith(f"{SLASHED_PREFIX}/"):
        return path if path.endswith("/") else f"{path}/"
    return path[:-1] if path.endswith("/") and path != "/" else path
