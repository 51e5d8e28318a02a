"""A bounded pool of threads for destinations that make several calls. One per engine; a call that never returns is abandoned.

Each call has a thread of its own, since a thread that hangs can't be ended: its place is given to another call, and only when
as many hang as the pool is large do they take places away. Database connections are closed as each call ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import connections

logger = logging.getLogger(__name__)
T = TypeVar("T")
CALL_SECONDS = 45.0
# what a call is given beyond its time to end by itself, with the better sentence, before it is abandoned
GRACE_SECONDS = 2.0


class Abandoned(Exception):
    """A call did not return in its time. Its thread may still run."""


class CallPool:
    """Runs at most `size` calls at once."""

    def __init__(self, size: int, seconds: float = CALL_SECONDS) -> None:
        self.size = size
        self.seconds = seconds
        self._places = asyncio.Semaphore(size)
        self._hanging: set[threading.Thread] = set()

    def room(self, under_way: int) -> int:
        """Return how many further deliveries may be leased while so many are under way."""
        self._hanging = {thread for thread in self._hanging if thread.is_alive()}
        return max(0, self.size - under_way - max(0, len(self._hanging) - self.size))

    async def run(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises; Abandoned when it takes longer than `seconds`.

        Waits for a place where more are asked for than there are.
        """
        async with self._places:
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[T] = loop.create_future()
            thread = threading.Thread(
                target=_run, args=(partial(contextvars.copy_context().run, work), loop, ended), name="destination-call", daemon=True
            )
            thread.start()
            try:
                async with asyncio.timeout(self.seconds + GRACE_SECONDS) as limit:
                    return await ended
            except TimeoutError:
                if not limit.expired():
                    raise  # of the call's own
                self._hanging.add(thread)
                logger.warning("destination_call_abandoned", extra={"hanging": len(self._hanging)})
                raise Abandoned from None


def _run(work: Callable[[], T], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[T]) -> None:
    result: Any = None
    error: BaseException | None = None
    try:
        result = work()
    except BaseException as raised:  # whatever it is, the delivery must hear of it
        error = raised
    finally:
        connections.close_all()
    try:
        loop.call_soon_threadsafe(_settle, ended, result, error)
    except RuntimeError:
        logger.info("destination_call_too_late")  # the engine has stopped; its deliveries were handed back


def _settle(ended: asyncio.Future[T], result: Any, error: BaseException | None) -> None:
    if ended.done():
        return
    if isinstance(error, Exception) and not isinstance(error, StopIteration):  # which no future takes
        ended.set_exception(error)
    elif error is not None:
        ended.set_exception(RuntimeError(f"The call was ended by {type(error).__name__}."))
    else:
        ended.set_result(result)
