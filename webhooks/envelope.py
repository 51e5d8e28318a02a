"""The delivered body: {id, type, timestamp, data}."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.models import Event


def timestamp(moment: datetime) -> str:
    """Return a time as bodies show it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def envelope(event: Event) -> dict[str, Any]:
    """Return the body that an event is delivered as."""
    return {"id": str(event.id), "type": event.type, "timestamp": timestamp(event.created_at), "data": event.payload}
