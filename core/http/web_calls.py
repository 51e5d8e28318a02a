"""How many calls to other systems a web server process may have out at once for those who wait for the answer.

Each holds one of the process's threads for as long as the other system takes. Without a bound, one system that hangs would
take them all, and with them the API, the admin and the health page.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from core.errors import Unavailable

RETRY_SECONDS = 1


class _Places:
    """A count of those who hold a place; no semaphore, for how many there are is a setting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self, most: int) -> bool:
        with self._lock:
            free = self._taken < most
            self._taken += free
        return free

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1


_places = _Places()


@contextmanager
def web_place() -> Iterator[None]:
    """Hold one of the process's places, half of its threads but at least one; raises Unavailable at once where none is free."""
    most = max(1, settings.WEB_THREADS // 2)
    if not _places.take(most):
        raise Unavailable(
            "Too many calls to other systems are waiting for an answer here already. Try again in a moment.",
            code="too_many_calls",
            retry_after=RETRY_SECONDS,
        )
    try:
        yield
    finally:
        _places.give_back()
