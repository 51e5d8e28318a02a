"""Python's garbage collector, for work that makes a million small objects and keeps them for a while."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 100_000


@contextmanager
def rarely_collected() -> Iterator[None]:
    """Have it look through the objects of this process less often: with the usual 700 it takes as long as parsing a large document."""
    before = gc.get_threshold()
    gc.set_threshold(_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
