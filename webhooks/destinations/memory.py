"""What destinations remember: rows of DestinationMemory, used from the threads that make the calls."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from core.errors import InvalidInput
from core.texts import storable, storable_json
from integrations.contract.outbound import Remembered, Reserved
from webhooks.models import DestinationMemory

MAX_KEY = 200
MAX_EXTERNAL_ID = 500
RESERVED_FOR = timedelta(seconds=120)
"""How long whoever reserved a key is thought to be at it: longer than a call may last (45 s)."""
_RESERVED = ""
_KEPT_OF_LONG_KEYS = 130


class RowMemory:
    """The memory of one webhook (a `Memory` of the contract). Each call is a statement or two of its own; no transaction stays open."""

    def __init__(self, webhook_id: uuid.UUID) -> None:
        self._webhook_id = webhook_id

    def get(self, key: str) -> str | None:
        """Return the external id remembered for a key."""
        return self._rows(key).values_list("external_id", flat=True).first() or None

    def put(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        """Remember an external id; a key that is set already keeps the first, also when two threads set it at once.

        Raises InvalidInput for an external id that is empty or too long to be kept, and for data that is no JSON.
        """
        values = _values(external_id, data)
        if not self._insert(key, values):
            self._rows(key).filter(external_id=_RESERVED).update(**values, updated_at=Now())

    def recall(self, key: str) -> Remembered | None:
        """Return what is remembered or reserved under a key."""
        found = self._rows(key).values_list("external_id", "data").first()
        return Remembered(*found) if found else None

    def reserve(self, key: str, holder: str) -> Reserved:
        """Claim a key before something is made under it. One statement for the first, so that of two at once only one is first."""
        mine = {"external_id": _RESERVED, "data": {"holder": holder}}
        if self._insert(key, mine):
            return Reserved.FIRST
        found = self.recall(key)
        if found is None:  # forgotten in between
            return Reserved.BUSY
        if found.external_id != _RESERVED:
            return Reserved.MADE
        # by the database's clock alone: those of two machines may differ by more than a reservation lasts
        mine_or_silent = Q(data__holder=holder) | Q(updated_at__lte=Now() - RESERVED_FOR)
        taken = self._rows(key).filter(mine_or_silent, external_id=_RESERVED).update(**mine, updated_at=Now())
        return Reserved.AGAIN if taken else Reserved.BUSY

    def replace(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        """Remember this from now on. Raises as `put` does."""
        values = _values(external_id, data)
        if not self._rows(key).update(**values, updated_at=Now()) and not self._insert(key, values):
            self._rows(key).update(**values, updated_at=Now())

    def latest(self, key: str, order: str, data: Mapping[str, Any] | None = None) -> Remembered:
        """Remember this unless something later is remembered, and return what is then remembered. Raises as `put` does."""
        values = _values(order, data)
        if not self._insert(key, values):
            self._rows(key).filter(external_id__lte=order).update(**values, updated_at=Now())
        return self.recall(key) or Remembered(order, values["data"])

    def forget(self, key: str) -> None:
        """Remember nothing under this key any more."""
        self._rows(key).delete()

    def _rows(self, key: str) -> QuerySet[DestinationMemory]:
        return DestinationMemory.objects.filter(webhook_id=self._webhook_id, key=stored_key(key))

    def _insert(self, key: str, values: Mapping[str, Any]) -> bool:
        """Insert a row unless there is one; say whether it was inserted."""
        row = DestinationMemory(webhook_id=self._webhook_id, key=stored_key(key), **values)
        DestinationMemory.objects.bulk_create([row], ignore_conflicts=True)
        return self._rows(key).filter(id=row.id).exists()


def _values(external_id: str, data: Mapping[str, Any] | None) -> dict[str, Any]:
    external_id = storable(external_id)
    if not external_id or len(external_id) > MAX_EXTERNAL_ID:
        raise InvalidInput.of("external_id", f"must be a text of 1 to {MAX_EXTERNAL_ID} characters.")
    return {"external_id": external_id, "data": _stored_data(data or {})}


def stored_key(key: str) -> str:
    """Return the key as it is stored: a long one, or one that no database stores, by its beginning and a hash of the whole."""
    kept = storable(key)
    if len(key) <= MAX_KEY and kept == key:
        return key
    return f"{kept[:_KEPT_OF_LONG_KEYS]}:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _stored_data(data: Mapping[str, Any]) -> Any:
    try:
        return storable_json(json.loads(json.dumps(dict(data), allow_nan=False)))
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput.of("data", "must be JSON, without NaN and infinity.") from None


def forget(webhook_id: uuid.UUID) -> None:
    """Forget all that a webhook's destination made: its next integration is another system, where none of it exists."""
    DestinationMemory.objects.filter(webhook_id=webhook_id).delete()
