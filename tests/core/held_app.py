"""A WSGI application behind gunicorn for tests of held requests: it waits for what never comes.

It loads no app: that takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIRequest

from core import holding
from core.errors import Unavailable


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    try:
        said = holding.until(WSGIRequest(environ), 60, lambda: _answer(environ["QUERY_STRING"]))
    except Unavailable:
        said = "not yet"
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said.encode()]


def _answer(wanted: str) -> str:
    if wanted == "places":
        return str(holding.places.free)
    raise Unavailable("never")
