"""Requests that go to their view directly, past the middleware that serves people and the API.

Session, forms, messages and page headers are nothing to a machine that sends thousands of requests, nor to an image that caches keep
for everybody; such a view judges for itself who may call it, and how much.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve

PREFIXES = ("/api/v1/webhook/", "/api/webhook/", "/badge/")


class DirectMiddleware:
    """Must come behind what every request needs: the request id, the access log, HTTPS and the trailing slash."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        if not request.path_info.startswith(PREFIXES):
            return self.get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return self.get_response(request)
        request.resolver_match = match
        view: Callable[..., HttpResponseBase] = match.func
        return view(request, *match.args, **match.kwargs)
