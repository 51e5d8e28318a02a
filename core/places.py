"""Places: threads of this process that requests may hold for long, each kind so many, and all kinds together all threads but one.

Without a bound one system that hangs, or a dozen long downloads, would take them all, and with them the API, the admin and the health page.
"""

from __future__ import annotations

import threading

from django.conf import settings

# reentrant: a place may be given back by the garbage collector, in the middle of anything
_lock = threading.RLock()


class Places:
    """One kind of request may hold a part of the process's threads."""

    _all = 0

    def __init__(self, one_in: int, at_least: int = 1) -> None:
        self._one_in, self._at_least = one_in, at_least
        self._taken = 0

    @property
    def most(self) -> int:
        """Return how many there are."""
        return max(self._at_least, settings.WEB_THREADS // self._one_in)

    @property
    def free(self) -> int:
        """Return how many can be taken now."""
        return min(self.most - self._taken, max(1, settings.WEB_THREADS - 1) - Places._all)

    def take(self) -> bool:
        """Take one if one is free; say whether."""
        with _lock:
            if self.free <= 0:
                return False
            self._taken += 1
            Places._all += 1
            return True

    def give_back(self) -> None:
        """Give one back."""
        with _lock:
            self._taken -= 1
            Places._all -= 1
