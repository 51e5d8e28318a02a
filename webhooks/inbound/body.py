"""Takes a request's body in, in chunks and in bounded memory."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError

from core.errors import InvalidInput, RepoGuardError, TooLarge, Unavailable
from core.intake import NoPlaceForSlow, SlowSender

CHUNK = 256 * 1024
LARGE = 1024 * 1024
"""Bytes from which on a body counts as large: only so many are held at once."""
READ_SECONDS = 60.0
RETRY_SECONDS = 10


class BodyGate:
    """Lets a number of large bodies in at once, in this process; a small one needs no place."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def taken(self, request: HttpRequest, limit: int) -> Iterator[bytes]:
        """Yield the body to the byte, holding a place for as long as a large one is in use.

        Raises TooLarge above `limit` bytes, Unavailable when all places are taken, InvalidInput for a body that can't be read.
        """
        held: list[bool] = []

        def enter(size: int) -> None:
            if size > LARGE and not held:
                if not self._places.acquire(blocking=False):
                    raise Unavailable(
                        "The portal is taking in other large requests; send this one again shortly.", retry_after=RETRY_SECONDS
                    )
                held.append(True)

        try:
            yield _read(request, limit, enter)
        finally:
            if held:
                self._places.release()


def _read(request: HttpRequest, limit: int, enter: Callable[[int], None]) -> bytes:
    declared = _length(request)
    if declared is not None and declared > limit:
        raise _too_large(limit)
    read = _reader(request) if declared is None else request.read
    enter(declared or 0)
    # BytesIO hands its buffer out without a copy, so that a body is held once
    body, size, deadline = io.BytesIO(), 0, time.monotonic() + READ_SECONDS
    try:
        while size <= limit and (chunk := read(CHUNK)):
            size += len(chunk)
            enter(size)
            body.write(chunk)
            if time.monotonic() > deadline:
                raise InvalidInput(f"The body did not arrive within {READ_SECONDS:g} s.", code="timed_out")
    except OSError as error:  # what gunicorn raises for a broken chunk, and Django's UnreadablePostError
        raise _broken(error.__cause__ if isinstance(error, UnreadablePostError) else error) from error
    if size > limit:
        raise _too_large(limit)
    if declared is not None and size != declared:
        raise InvalidInput("The body is shorter than its Content-Length.", code="malformed")
    return body.getvalue()


def _broken(error: BaseException | None) -> RepoGuardError:
    if isinstance(error, NoPlaceForSlow):
        return Unavailable("The portal waits for other slow requests; send this one again shortly.", retry_after=RETRY_SECONDS)
    if isinstance(error, SlowSender):
        return InvalidInput("The body did not arrive in time.", code="timed_out")
    return InvalidInput("The body broke off.", code="malformed")


def _length(request: HttpRequest) -> int | None:
    """Return the declared length, None for a body in chunks."""
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    text = request.META.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput("Content-Length must be a number of bytes.", code="malformed")
    return int(text[:20])


def _reader(request: HttpRequest) -> Callable[[int], bytes]:
    source = request.META.get("wsgi.input")
    if source is None or not request.META.get("wsgi.input_terminated"):
        raise InvalidInput("Send the body with a Content-Length.", code="length_required")
    read: Callable[[int], bytes] = source.read
    return read


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is over {limit} bytes, the limit set by INBOUND_MAX_BODY_BYTES.")


gate = BodyGate(settings.INBOUND_LARGE_BODIES)
