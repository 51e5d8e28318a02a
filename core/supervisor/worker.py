"""The web server's worker: gunicorn's threads, with a limit to how long the head of a request may take to arrive."""

from __future__ import annotations

from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from core import intake


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Patient, but not for ever: see core/intake.py. The body is watched where it is read."""

    def handle(self, conn: Any) -> Any:
        """Handle one request of a connection."""
        try:
            with intake.watch.waiting(conn.sock, intake.HEADER_SECONDS) as conn.head:
                return super().handle(conn)
        except intake.SlowSender:
            return False

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head is complete."""
        intake.watch.end(conn.head)
        return super().handle_request(req, conn)
