"""Re-encrypts stored values under the first of FERNET_KEYS while the system runs, and proves that all can be read.

Nothing is remembered between runs: a value that is under the new key already is skipped by its key id, so a run that was
killed is simply started again, and two at once do no harm. A value is replaced only where the bytes that were read still
stand; what somebody changed meanwhile is taken again in the next pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection

from core.encrypted_columns import SQLITE_BATCH, EncryptedColumn, Replacement, Stored
from core.fields import DecryptError, EncryptedTextField, key_id

MOST_PASSES = 10
Progress = Callable[[int], None]
"""Called after each batch with the number of values it re-encrypted."""


@dataclass(frozen=True)
class Unreadable:
    """A stored value that can't be read, and why."""

    column: str
    pk: str
    reason: str

    def __str__(self) -> str:
        return f"{self.column} of {self.pk}: {self.reason}"


@dataclass
class Rotated:
    """What re-encrypting a column came to."""

    changed: int = 0
    retaken: int = 0
    """How often a value was found changed or locked by somebody else, and left for the next pass."""
    left: int = 0
    """Readable values that are still under another key after the last pass: somebody keeps writing them."""
    unreadable: dict[Any, Unreadable] = field(default_factory=dict)


@dataclass
class Verified:
    """What reading every value of a column found."""

    counts: Counter[str] = field(default_factory=Counter)
    unreadable: list[Unreadable] = field(default_factory=list)


def current_key() -> str:
    """Return the id of the key that encrypts now."""
    return key_id(settings.FERNET_KEYS[0])


def rotate(column: EncryptedColumn, *, batch: int = 1000, on_progress: Progress = lambda done: None) -> Rotated:
    """Bring every value of a column under the current key, in passes by primary key, until a pass has nothing left to do."""
    total = Rotated()
    for _ in range(MOST_PASSES):
        before = total.changed, total.retaken
        _one_pass(column, _bounded(batch), total, on_progress)
        total.left = total.retaken - before[1]
        if (total.changed, total.retaken) == before:
            break
    return total


def verify(column: EncryptedColumn, *, batch: int = 1000, on_progress: Progress = lambda done: None) -> Verified:
    """Decrypt every value of a column; changes nothing."""
    found = Verified()
    after: Any = None
    while rows := column.batch(after, batch):
        for row in rows:
            found.counts[row.key_id] += 1
            if reason := _unreadable(column, row):
                found.unreadable.append(Unreadable(column.label, str(row.pk), reason))
        after = rows[-1].pk
        on_progress(len(rows))
    return found


def _one_pass(column: EncryptedColumn, batch: int, total: Rotated, on_progress: Progress) -> None:
    current = current_key()
    after: Any = None
    while rows := column.batch(after, batch, but=current):
        changes = [change for row in rows if (change := _replacement(column, row, total)) is not None]
        done = column.replace(changes)
        total.changed += done
        total.retaken += len(changes) - done
        after = rows[-1].pk
        on_progress(done)


def _replacement(column: EncryptedColumn, row: Stored, total: Rotated) -> Replacement | None:
    try:
        return Replacement(row, EncryptedTextField.seal(EncryptedTextField.unseal(row.value)))
    except DecryptError as error:
        total.unreadable[row.pk] = Unreadable(column.label, str(row.pk), str(error))
        return None


def _unreadable(column: EncryptedColumn, row: Stored) -> str:
    try:
        column.field.read(row.value)
    except DecryptError as error:
        return str(error)
    except ValueError:
        return "Its text is not what the field stores."
    return ""


def _bounded(batch: int) -> int:
    # SQLite has one writer: a transaction of more rows would hold up everybody
    return max(1, min(batch, SQLITE_BATCH) if connection.vendor == "sqlite" else batch)
