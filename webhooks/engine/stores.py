"""Which store serves the database in use."""

from __future__ import annotations

import uuid

from django.db import connection

from webhooks.engine.store import Store
from webhooks.engine.store_postgres import PostgresStore


def new_store(worker_id: uuid.UUID) -> Store:
    """Return a store that leases in the name of this worker."""
    return PostgresStore(worker_id) if connection.vendor == "postgresql" else Store(worker_id)
