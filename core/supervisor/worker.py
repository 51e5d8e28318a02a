"""The web server's worker: gunicorn's threads, which requests reach when they have arrived, up to a size and for a while."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from core import holding, intake
from core.supervisor.arrival import MOST, Arrival

_CLOSING_SECONDS = 2.0
_LOOK_SECONDS = 0.25


def _closed_already(graceful: bool = False) -> None:
    """Stand for the close() of a connection that is closed."""


class PatientWorker(ThreadWorker):
    """Patient, but not for ever: see core/intake.py. What is slow waits in the loop, where it costs a socket and no thread."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, tuple[Arrival, float]] = {}

    def run(self) -> None:
        """Serve until the end, which nobody who is held may delay."""
        holding.end_when(lambda: not self.alive)
        super().run()

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread as soon as its request is there."""
        ahead = conn.parser.unreader.buf.getvalue() if conn.parser is not None else b""
        arrival = Arrival(conn.sock, ahead)
        conn.late, conn.data_ready = False, True
        if self.cfg.is_ssl or arrival.is_enough():
            self._take(conn, arrival)
            return
        while self._arriving and self.nr_conns > self.worker_connections - self.cfg.threads:
            self._turn_away(next(iter(self._arriving)))  # the one that waits longest: who is not slow has gone by
        conn.sock.setblocking(False)
        self._arriving[conn] = (arrival, time.monotonic())
        self.poller.register(conn.sock, EVENT_READ, partial(self._on_more, conn))

    def _on_more(self, conn: Any, client: Any) -> None:
        arrival, _ = self._arriving[conn]
        if arrival.is_enough():
            self._forget(conn)
            self._take(conn, arrival)

    def _take(self, conn: Any, arrival: Arrival) -> None:
        with suppress(OSError):
            arrival.end()
        super().enqueue_req(conn)

    def _forget(self, conn: Any) -> None:
        del self._arriving[conn]
        self.poller.unregister(conn.sock)

    def _turn_away(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        with suppress(OSError):  # what came is read: closed over it, the connection would be reset
            conn.sock.recv(MOST)
            conn.sock.shutdown(socket.SHUT_WR)
        conn.close()

    def murder_pending(self) -> None:
        """End heads that take too long, and let slow bodies try for one of the places that they may hold."""
        super().murder_pending()
        now = time.monotonic()
        for conn, (arrival, since) in list(self._arriving.items()):
            if arrival.has_head and now - since >= intake.GRACE_SECONDS:
                conn.late = True
                self._forget(conn)
                self._take(conn, arrival)
            elif now - since >= intake.HEADER_SECONDS or not self.alive:
                self._turn_away(conn)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Look more often while somebody is slow."""
        super().wait_for_and_dispatch_events(min(timeout, _LOOK_SECONDS) if self._arriving else timeout)

    def handle(self, conn: Any) -> Any:
        """Handle one request of a connection, and close it here where it ends: gunicorn's loop would accept nothing for two seconds."""
        try:
            with intake.watch.waiting(conn.sock, intake.HEADER_SECONDS) as conn.head:
                going_on = super().handle(conn)
        except intake.SlowSender:
            going_on = False
        if not going_on:
            with suppress(OSError), intake.watch.waiting(conn.sock, _CLOSING_SECONDS, _CLOSING_SECONDS / 4):
                conn.close(graceful=True)
            conn.close = _closed_already
        return going_on

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head is complete."""
        intake.watch.end(conn.head)
        if conn.late:
            intake.late.add(conn.sock)
        try:
            return super().handle_request(req, conn)
        finally:
            intake.late.discard(conn.sock)
