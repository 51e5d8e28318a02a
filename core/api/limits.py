"""The cap on request bodies: settings.API_MAX_BODY_BYTES, or `max_body_bytes` of a view that declares its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from core.api.errors import Problem

CHUNK = 64 * 1024


class BodyLimitMiddleware:
    """Refuses too large bodies of API requests before anything reads them, and makes chunked bodies readable.

    Django takes a request without Content-Length for empty; here such a body is read, up to the cap, and handed on.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        """Check the body of a request for an API view, whose cap is known now."""
        view_class = getattr(view, "cls", None)
        if view_class is None:
            return None
        cap: int = getattr(view_class, "max_body_bytes", None) or settings.API_MAX_BODY_BYTES
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        if chunked:
            return _buffer(request, cap)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isascii() or not length.isdigit():
            return Problem(400, "malformed", "Content-Length must be a number of bytes.").as_response()
        return _too_large(cap) if int(length[:20]) > cap else None


def _buffer(request: HttpRequest, cap: int) -> HttpResponseBase | None:
    source = request.META.get("wsgi.input")
    if source is None or not request.META.get("wsgi.input_terminated"):
        return Problem(411, "length_required", "Send the body with a Content-Length.").as_response()
    data = bytearray()
    try:
        while len(data) <= cap and (chunk := source.read(min(CHUNK, cap + 1 - len(data)))):
            data += chunk
    except OSError:  # what gunicorn raises for a chunk without a size, or a body that breaks off
        problem = Problem(400, "malformed", "The chunks of the body can't be read; send it whole, with a Content-Length.").as_response()
        problem["Connection"] = "close"
        return problem
    if len(data) > cap:
        return _too_large(cap)
    request._stream = io.BytesIO(data)  # what WSGIRequest reads bodies from
    request.META["CONTENT_LENGTH"] = str(len(data))
    return None


def _too_large(cap: int) -> HttpResponseBase:
    return Problem(413, "too_large", f"The body is over {cap} bytes, the limit for this route (API_MAX_BODY_BYTES).").as_response()
