"""What an engine does beside its turns: digests that are due, deliveries that were superseded or have expired.

A few look-ups by index, twice a second in each engine; whoever finds something does it, and no two do the same.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from webhooks.engine.digests import close_next
from webhooks.engine.superseding import expire_next, supersede_next

logger = logging.getLogger(__name__)
SECONDS = 0.5
STARTING_SECONDS = 10.0
"""Before the first claim; however much there is, an engine starts, and does the rest between its turns."""


class Sparing:
    """A look that takes at most a share of the engine's time: after a long one that found nothing it rests, and `every` seconds anyway.

    Behind a million replays that wait, say, what waited too long is found by reading past all of them, and claims wait meanwhile.
    """

    def __init__(
        self, look: Callable[[], bool], share: float = 0.05, clock: Callable[[], float] = time.monotonic, every: float = 0.0
    ) -> None:
        self._look, self._share, self._clock, self._every = look, share, clock, every
        self._rests_until = -math.inf

    def __call__(self) -> bool:
        """Look, unless it rests; says whether anything was found."""
        began = self._clock()
        if began < self._rests_until:
            return False
        found = self._look()
        now = self._clock()
        self._rests_until = max(began + self._every, -math.inf if found else now + (now - began) / self._share)
        return found


_expire_next = Sparing(expire_next)


def step() -> bool:
    """Do one portion of each kind; says whether there may be more at once."""
    # first what is not sent any more, so that a claim that follows doesn't send it
    void = [supersede_next(), _expire_next()]
    return close_next() or any(void)


async def regularly(seconds: float, work: Callable[[], Awaitable[object]], failed: str) -> None:
    """Do work again and again, with so many seconds in between."""
    while True:
        await asyncio.sleep(seconds)
        await watched(work, failed)


async def watched(work: Callable[[], Awaitable[object]], failed: str, seconds: float = math.inf) -> None:
    """Do work until it says that nothing is left, or for so long. A failure is logged: it must not end the engine."""
    until = time.monotonic() + seconds
    try:
        while await work() and time.monotonic() < until:
            pass
    except Exception:
        logger.exception(failed)
