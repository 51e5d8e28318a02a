"""Whether the database can be used right now: read from and, on SQLite, written to."""

from __future__ import annotations

import threading

from django.db import DatabaseError, connections

_PATIENCE_SECONDS = 4.0


def answers() -> bool:
    """Ask the database on a connection of its own, and wait four seconds at most."""
    result: list[bool] = []
    # a network that swallows packets can hold a connection attempt for minutes; the supervisor must not stand still
    asking = threading.Thread(target=lambda: result.append(_ask()), daemon=True, name="database-probe")
    asking.start()
    asking.join(_PATIENCE_SECONDS)
    return bool(result and result[0])


def _ask() -> bool:
    connection = connections.create_connection("default")
    connection.settings_dict = connection.settings_dict | {"OPTIONS": dict(connection.settings_dict["OPTIONS"])}
    options = connection.settings_dict["OPTIONS"]
    options["timeout" if connection.vendor == "sqlite" else "connect_timeout"] = 3
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("BEGIN IMMEDIATE")  # a long write by someone else holds everyone up, and is nobody's fault
                cursor.execute("ROLLBACK")
            else:
                cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    finally:
        connection.close()
    return True
