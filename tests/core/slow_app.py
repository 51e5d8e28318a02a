"""A WSGI application behind gunicorn for tests of slow senders: it reads the body and says how long it was; a third of a second is slow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from core import intake

intake.BODY_SECONDS, intake.GRACE_SECONDS = 1.5, 0.3
intake.HEADER_SECONDS = 2.0


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    intake.time_input(environ)
    try:
        status, said = "200 OK", str(len(environ["wsgi.input"].read(100_000)))
    except intake.SlowSender as error:
        status, said = "408 Request Timeout", type(error).__name__
    except OSError:
        status, said = "400 Bad Request", "broken"
    start_response(status, [("Content-Length", str(len(said)))])
    return [said.encode()]
