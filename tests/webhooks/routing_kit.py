"""What the tests of digests and superseding share."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F

from core.event_types import catalogue
from core.models import Event
from tests.webhooks.engine_kit import hook
from webhooks.models import DigestEntry, Webhook, WebhookDelivery
from webhooks.services.rules import mirrored


def routed(routing: dict[str, Any], **more: Any) -> Webhook:
    """Return a webhook that hears of everything by these rules."""
    return hook(**({"events": ["*"], "routing": routing, **mirrored({"routing": routing})} | more))


def example(name: str, **data: Any) -> dict[str, Any]:
    """Return the data of the example of a type, changed."""
    found = catalogue.find(name)
    assert found is not None
    return found.example | data


def pass_time(seconds: float) -> None:
    """Let so much time pass for what is collected."""
    past = timedelta(seconds=seconds)
    DigestEntry.objects.update(ends_at=F("ends_at") - past, due_at=F("due_at") - past)


def sent(webhook: Webhook) -> list[Event]:
    """Return the events of a webhook's pending deliveries, in order."""
    rows = WebhookDelivery.objects.filter(webhook=webhook, status="pending").order_by("id").select_related("event")
    return [row.event for row in rows]
