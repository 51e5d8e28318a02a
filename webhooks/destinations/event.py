"""The event as destinations get it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from core.event_links import event_link
from core.models import Event
from integrations.contract.outbound import OutgoingEvent
from integrations.models import Repository


def about(event_id: uuid.UUID) -> str:
    """Return which repository, registered here, an event belongs to, as `provider:owner/name`. One statement."""
    mine = Event.objects.filter(id=event_id).values("repository_id")
    found = Repository.objects.filter(id__in=mine).values_list("provider", "full_name").first()
    return ":".join(found) if found else ""


def outgoing(
    event_id: uuid.UUID,
    event_type: str,
    published_at: float,
    attempt: int,
    body: bytes,
    delivery_id: uuid.UUID | None = None,
    about: str = "",
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
        about=about,
    )
