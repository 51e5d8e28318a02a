"""Answers that have no body by HTTP's rules are sent without one: to HEAD, and 204 and 304."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

BODILESS = frozenset([204, 304])


class NoBodyMiddleware:
    """Drops such bodies; the Content-Length that a GET would have stays."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        response = self.get_response(request)
        if request.method == "HEAD" or response.status_code in BODILESS:
            _drop_body(response, keep_length=request.method == "HEAD")
        return response


def _drop_body(response: HttpResponseBase, *, keep_length: bool) -> None:
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = []
    elif isinstance(response, HttpResponse):
        if keep_length:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        response.content = b""
