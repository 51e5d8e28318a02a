"""How PostgreSQL reads what was just stored: it has not counted a new ref yet, and takes thousands of findings for one.

It would then look through all presences for each finding. The table is too large for a few thousand new rows to have it counted anew, so
this does not pass by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def read_whole() -> Iterator[None]:
    """Have both sides of a join read once and hashed, however few rows are expected; inside a transaction."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")
    yield
    # not after an error: the transaction is over then, and these with it
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT; SET LOCAL work_mem TO DEFAULT")
