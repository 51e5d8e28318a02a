"""How many templates a web process tries out at once: it is computing, and must leave threads to everybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from core.errors import RateLimited

_WAIT_SECONDS = 0.1
_RETRY_AFTER = 2.0
_places = threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 2))


@contextmanager
def trying_out() -> Iterator[None]:
    """Hold one of the places. Raises RateLimited where others keep all of them: waiting would take one thread after the other."""
    if not _places.acquire(timeout=_WAIT_SECONDS):
        raise RateLimited("Many templates are being tried out at this moment: try again in some seconds.", retry_after=_RETRY_AFTER)
    try:
        yield
    finally:
        _places.release()
