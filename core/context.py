"""Who does what on whose request: carried by context variables from the API through publishing to workers and logs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

REQUEST_ID_HEADER = "X-Request-Id"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Actor:
    """Who acts: a user, an API key, a command or the system. `label` is what logs and audit entries show."""

    kind: str = "system"
    id: str = ""
    label: str = "system"


SYSTEM = Actor()
_request_id: ContextVar[str] = ContextVar("request_id", default="")
_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


def request_id() -> str:
    """Return the id of the request (or task) being worked on, or an empty string."""
    return _request_id.get()


def actor() -> Actor:
    """Return who acts at the moment."""
    return _actor.get()


def set_actor(who: Actor) -> None:
    """Name who acts for the rest of this request."""
    _actor.set(who)


@contextmanager
def acting(who: Actor, request: str = "") -> Iterator[None]:
    """Act as `who`, under request id `request` (a new one when empty), inside the block."""
    actor_token, id_token = _actor.set(who), _request_id.set(request or new_request_id())
    try:
        yield
    finally:
        _actor.reset(actor_token)
        _request_id.reset(id_token)


def new_request_id() -> str:
    """Return a fresh request id."""
    return uuid.uuid4().hex


class RequestContextMiddleware:
    """Gives every request an id (the caller's own X-Request-Id when it is well formed) and answers with it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        given = request.headers.get(REQUEST_ID_HEADER, "")
        with acting(SYSTEM, given if _ACCEPTABLE.fullmatch(given) else ""):
            response = self.get_response(request)
            response[REQUEST_ID_HEADER] = request_id()
            return response
