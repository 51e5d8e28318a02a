"""Wakes an idle engine when something was published: LISTEN on a connection of its own (PostgreSQL only)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg
from django.db import connection
from psycopg import sql

from core.bus import WAKE_CHANNEL

logger = logging.getLogger(__name__)
LOOK_UP_SECONDS = 0.5
RECONNECT_SECONDS = 1.0


class Listener:
    """A thread that calls `wake` after each NOTIFY; the engine's poll is the net for what it misses while reconnecting."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="deliveries-listen", daemon=True)

    def start(self) -> bool:
        """Start listening; says whether this database can notify at all."""
        if connection.vendor != "postgresql":
            return False
        self._thread.start()
        return True

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * LOOK_UP_SECONDS + RECONNECT_SECONDS)

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except psycopg.Error as error:
                logger.warning("listen_interrupted", extra={"error": str(error).partition("\n")[0][:200]})
                self._stopped.wait(RECONNECT_SECONDS)

    def _follow(self) -> None:
        parameters = {name: value for name, value in connection.get_connection_params().items() if name not in _DJANGO_ONLY}
        with psycopg.connect(**parameters, autocommit=True) as own:
            own.execute(sql.SQL("LISTEN {}").format(sql.Identifier(WAKE_CHANNEL)))
            while not self._stopped.is_set():
                # the generator ends by itself at each look-up, so that stop() is heard
                for _notification in own.notifies(timeout=LOOK_UP_SECONDS, stop_after=1):
                    self._wake()


_DJANGO_ONLY = {"cursor_factory", "context"}
