"""What is claimed and done in several threads at once: work that mostly waits for the answers of services."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Protocol, TypeVar

from django.db import Error, connection

logger = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


class Claimed(Protocol):
    """What is claimed."""

    @property
    def id(self) -> uuid.UUID:
        """Return what the log calls it."""


T = TypeVar("T", bound=Claimed)


def together(claim: Callable[[int], Sequence[T]], perform: Callable[[T], object], at_once: int, is_over: Callable[[], bool]) -> int:
    """Claim and perform until nothing is left or `is_over()`, and wait for what is under way; returns how much was performed.

    `claim` is asked for as many as threads are free: what is claimed must not wait in line while its lease runs. Each is performed in a
    thread of its own, as whoever called, with a database connection of its own. What one raises is logged and ends no other.
    """
    count = 0
    with ThreadPoolExecutor(at_once, thread_name_prefix="together") as pool:
        under_way: set[Future[None]] = set()
        while True:
            free = at_once - len(under_way)
            claimed = claim(free) if free and not is_over() else ()
            count += len(claimed)
            under_way |= {pool.submit(copy_context().run, _perform, perform, one) for one in claimed}
            if not under_way:
                return count
            under_way -= wait(under_way, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED).done


def _perform(perform: Callable[[T], object], one: T) -> None:
    try:
        perform(one)
    except Error as error:  # its text may quote a row
        logger.warning("thread_without_database", extra={"of": str(one.id), "error": type(error).__name__})
    except Exception:  # nobody looks at the future; what went wrong belongs into the log
        logger.exception("thread_failed", extra={"of": str(one.id)})
    finally:
        connection.close()
