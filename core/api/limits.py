"""The cap on request bodies: settings.API_MAX_BODY_BYTES, or `max_body_bytes` of a view that declares its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from core.api.errors import Problem
from core.intake import SlowSender

CHUNK = 64 * 1024
MOST_HELD = 4 * 1024 * 1024
_KEPT = "_chunked_body"


class BodyLimitMiddleware:
    """Refuses too large bodies of API requests before anything reads them, and makes chunked bodies readable.

    Django takes a request without Content-Length for empty; here such a body is read, up to the cap, and handed on. What is
    more than a few megabytes of it waits on the disk.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Handle one request."""
        response = self.get_response(request)
        if (kept := getattr(request, _KEPT, None)) is not None:
            response._resource_closers.append(kept.close)  # type: ignore[attr-defined]
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> HttpResponseBase | None:
        """Check the body of a request for an API view, whose cap is known now."""
        view_class = getattr(view, "cls", None)
        if view_class is None:
            return None
        cap: int = getattr(view_class, "max_body_bytes", None) or settings.API_MAX_BODY_BYTES
        chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
        setting = getattr(view_class, "body_limit_setting", "API_MAX_BODY_BYTES")
        if chunked:
            return _buffer(request, cap, setting)
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isascii() or not length.isdigit():
            return Problem(400, "malformed", "Content-Length must be a number of bytes.").as_response()
        return _too_large(cap, setting) if int(length[:20]) > cap else None


def _buffer(request: HttpRequest, cap: int, setting: str) -> HttpResponseBase | None:
    source = request.META.get("wsgi.input")
    if source is None or not request.META.get("wsgi.input_terminated"):
        return Problem(411, "length_required", "Send the body with a Content-Length.").as_response()
    kept, size = tempfile.SpooledTemporaryFile(MOST_HELD), 0  # noqa: SIM115 - closed with the answer
    setattr(request, _KEPT, kept)
    try:
        while size <= cap and (chunk := source.read(min(CHUNK, cap + 1 - size))):
            size += kept.write(chunk)
    except SlowSender:
        return Problem(408, "timed_out", "The body did not arrive in time.").as_response()
    except OSError:  # what gunicorn raises for a chunk without a size, or a body that breaks off
        problem = Problem(400, "malformed", "The chunks of the body can't be read; send it whole, with a Content-Length.").as_response()
        problem["Connection"] = "close"
        return problem
    if size > cap:
        return _too_large(cap, setting)
    kept.seek(0)
    request._stream = cast("BinaryIO", kept)  # what WSGIRequest reads bodies from
    request.META["CONTENT_LENGTH"] = str(size)
    return None


def _too_large(cap: int, setting: str) -> HttpResponseBase:
    return Problem(413, "too_large", f"The body is over {cap} bytes, the limit for this route ({setting}).").as_response()
