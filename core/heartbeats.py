"""Being a worker: while a block runs, a thread of its own says that this process is alive (core/leases.py)."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, close_old_connections, connection

from core import leases

logger = logging.getLogger(__name__)
WORKER_KIND = "work"


@contextmanager
def heartbeat(kind: str = WORKER_KIND) -> Iterator[uuid.UUID]:
    """Be a worker while the block runs: a thread with a database connection of its own renews the heartbeat."""
    worker_id = leases.register_worker(kind)
    stop = threading.Event()
    thread = threading.Thread(target=_beat_until, args=(stop, worker_id), name=f"heartbeat-{kind}", daemon=True)
    thread.start()
    try:
        yield worker_id
    finally:
        stop.set()
        thread.join(leases.HEARTBEAT_SECONDS)
        leases.retire(worker_id)


def _beat_until(stop: threading.Event, worker_id: uuid.UUID) -> None:
    try:
        while not stop.wait(leases.HEARTBEAT_SECONDS):
            if not _beat_once(worker_id) and not stop.is_set():
                logger.warning("heartbeat_given_up", extra={"worker": str(worker_id)})
    finally:
        connection.close()


def _beat_once(worker_id: uuid.UUID) -> bool:
    try:
        close_old_connections()
        return leases.beat(worker_id)
    except Error:
        # a database that restarts: the lease lapses if it takes too long, and tokens keep the outcome right
        logger.warning("heartbeat_failed", extra={"worker": str(worker_id)})
        connection.close()
        return True
