"""Statements that PostgreSQL plans once for each connection: for the few that run thousands of times a second.

They run on psycopg's own cursor within Django's connection and transaction. Django's cursor quotes every parameter into the text of the
statement, which is then parsed and planned anew each time. Poolers that hand out a connection per transaction can't serve them
(docs/operations.md).
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from django.db import connection

PLAN_SECONDS = 10


def execute(statement: str, parameters: Any) -> psycopg.Cursor[Any]:
    """Run a statement on the connected PostgreSQL connection of this thread; psycopg's errors are raised as they are."""
    raw = connection.connection
    raw.prepare_threshold = 0  # Django turns preparing off; its own cursor never prepares
    return psycopg.Cursor(raw).execute(statement, parameters, prepare=True)


def execute_replanned(statement: str, parameters: Any) -> psycopg.Cursor[Any]:
    """Run a statement as execute() does, with a plan that is at most PLAN_SECONDS old.

    A plan that was made for a nearly empty table reads all of it, and would do so while the table fills, until its statistics are renewed.
    """
    return execute(f"{statement} -- {int(time.monotonic() // PLAN_SECONDS)}", parameters)
