"""What destinations remember: rows of DestinationMemory, used from the threads that make the calls."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from core.errors import InvalidInput
from core.texts import storable, storable_json
from webhooks.models import DestinationMemory

MAX_KEY = 200
MAX_EXTERNAL_ID = 500
_KEPT_OF_LONG_KEYS = 130


class RowMemory:
    """The memory of one webhook (a `Memory` of the contract). Each call is a statement or two of its own; no transaction stays open."""

    def __init__(self, webhook_id: uuid.UUID) -> None:
        self._webhook_id = webhook_id

    def get(self, key: str) -> str | None:
        """Return the external id remembered for a key."""
        rows = DestinationMemory.objects.filter(webhook_id=self._webhook_id, key=stored_key(key))
        return rows.values_list("external_id", flat=True).first()

    def put(self, key: str, external_id: str, data: Mapping[str, Any] | None = None) -> None:
        """Remember an external id; a key that is set already keeps the first, also when two threads set it at once.

        Raises InvalidInput for an external id that is empty or too long to be kept, and for data that is no JSON.
        """
        external_id = storable(external_id)
        if not external_id or len(external_id) > MAX_EXTERNAL_ID:
            raise InvalidInput.of("external_id", f"must be a text of 1 to {MAX_EXTERNAL_ID} characters.")
        row = DestinationMemory(webhook_id=self._webhook_id, key=stored_key(key), external_id=external_id, data=_stored_data(data or {}))
        DestinationMemory.objects.bulk_create([row], ignore_conflicts=True)


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
