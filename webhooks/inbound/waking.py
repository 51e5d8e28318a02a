"""Asks the queue for a worker: at most once a second and process, and always once more after the last request.

A message for each request would cost more than storing it. A process that is killed before its message leaves costs a minute:
the tick finds the receipts.
"""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, InterfaceError, connection

from core import work_registry

logger = logging.getLogger(__name__)
KIND_NAME = "inbound receipts"
EVERY_SECONDS = 1.0


class Waker:
    """See the module. Its thread has a database connection of its own, and ends after each message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending = False
        self._last = 0.0

    def notify(self) -> None:
        """Have due receipts run soon; returns at once."""
        with self._lock:
            if self._pending:
                return
            self._pending = True
            wait = max(0.0, self._last + EVERY_SECONDS - time.monotonic())
        timer = threading.Timer(wait, self._fire)
        timer.daemon = True
        timer.start()

    def _fire(self) -> None:
        with self._lock:  # before the message: what arrives from now on asks again
            self._pending, self._last = False, time.monotonic()
        try:
            work_registry.wake(KIND_NAME)
        except (DatabaseError, InterfaceError):
            logger.warning("inbound_wake_failed")
        finally:
            connection.close()


waker = Waker()
