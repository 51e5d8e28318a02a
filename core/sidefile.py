"""An SQLite file beside the main database: for what must be written at once while somebody else holds the main one's lock."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class SideFile:
    """A file with its tables, made when missing; each thread has a connection, each statement is a transaction of its own.

    Nothing is synced to the disk: what the machine's sudden end may take must be bearable. Raises sqlite3.Error and OSError
    when the file can't be used, or is locked for more than `timeout` seconds.
    """

    def __init__(self, path: str, tables: Sequence[str], timeout: float) -> None:
        self.path = path
        self._tables = tables
        self._timeout = timeout
        self._local = threading.local()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute one statement and return its rows."""
        return self._open().execute(sql, parameters).fetchall()

    def _open(self) -> sqlite3.Connection:
        handle: sqlite3.Connection | None = getattr(self._local, "handle", None)
        if handle is None:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            handle = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None)
            try:
                handle.execute("PRAGMA journal_mode=WAL")
                handle.execute("PRAGMA synchronous=OFF")
                for table in self._tables:
                    handle.execute(table)
            except sqlite3.Error:
                handle.close()
                raise
            self._local.handle = handle
        return handle
