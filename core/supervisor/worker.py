"""The web server's worker: gunicorn's threads, with a limit to how long the head of a request may take to arrive."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from core import intake

_CLOSING_SECONDS = 2.0


def _closed_already(graceful: bool = False) -> None:
    """Stand for the close() of a connection that is closed."""


class PatientWorker(ThreadWorker):
    """Patient, but not for ever: see core/intake.py. The body is watched where it is read."""

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
        return super().handle_request(req, conn)
