"""How many calls to other systems a web server process may have out at once for those who wait for the answer.

Each holds one of the process's threads for as long as the other system takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Unavailable
from core.places import Places

RETRY_SECONDS = 1


_places = Places(one_in=2)


@contextmanager
def web_place() -> Iterator[None]:
    """Hold one of the process's places, half of its threads but at least one; raises Unavailable at once where none is free."""
    if not _places.take():
        raise Unavailable(
            "Too many calls to other systems are waiting for an answer here already. Try again in a moment.",
            code="too_many_calls",
            retry_after=RETRY_SECONDS,
        )
    try:
        yield
    finally:
        _places.give_back()
