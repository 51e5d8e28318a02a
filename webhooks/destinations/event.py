"""The event as destinations get it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from core.event_links import event_link
from integrations.contract.outbound import OutgoingEvent


def outgoing(
    event_id: uuid.UUID, event_type: str, published_at: float, attempt: int, body: bytes, delivery_id: uuid.UUID | None = None
) -> OutgoingEvent:
    """Return what a destination is given; `published_at` in seconds since the epoch, `body` the envelope that webhooks get."""
    return OutgoingEvent(
        id=event_id,
        type=event_type,
        timestamp=datetime.fromtimestamp(published_at, UTC),
        data=json.loads(body)["data"],
        body=body,
        attempt=attempt,
        link=event_link(event_id),
        delivery_id=delivery_id,
    )
