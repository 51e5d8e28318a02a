"""The delivered body {id, type, timestamp, data}: as an object, and as the bytes that are sent. Both say the same."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from core.models import Event
from core.times import utc_text


def envelope(event: Event) -> dict[str, Any]:
    """Return the body that an event is delivered as."""
    return {"id": str(event.id), "type": event.type, "timestamp": utc_text(event.created_at), "data": event.payload}


def envelope_bytes(event_id: uuid.UUID, event_type: str, created_at: datetime, data: str) -> bytes:
    """Return it as JSON; `data` was stored as ASCII JSON and goes out to the letter, so that nothing is parsed."""
    return f'{{"id":"{event_id}","type":"{event_type}","timestamp":"{utc_text(created_at)}","data":{data}}}'.encode("ascii")
