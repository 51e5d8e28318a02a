"""Fan-out: which webhooks get an event. A sink of the bus, in the publisher's transaction, in a constant number of statements.

It only inserts: deliveries, and for each webhook a DueHint that the drains fold into its state row. An open publisher thus
never locks anything that a claim needs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from core.event_types import catalogue, patterns_for
from core.models import Event
from webhooks import queue_rows
from webhooks.choices import Trigger
from webhooks.envelope import envelope
from webhooks.filters import matches
from webhooks.models import Subscription, WebhookRepository
from webhooks.queue_rows import NewDelivery


@dataclass
class _Subscriber:
    """A webhook as fan-out sees it."""

    id: uuid.UUID
    owner_id: uuid.UUID | None
    lane: int
    filter: dict[str, Any] | None
    repositories: set[uuid.UUID] = field(default_factory=set)


def on_events(events: Sequence[Event]) -> None:
    """Insert the deliveries of these events, for active and inactive webhooks alike."""
    patterns = {name: patterns_for(name) for name in {event.type for event in events}}
    subscribers = _subscribers({pattern for some in patterns.values() for pattern in some}, {event.owner_id for event in events})
    if not subscribers:
        return
    deliveries = [
        NewDelivery(subscriber.id, event.id, event.type, subscriber.owner_id, subscriber.lane, Trigger.AUTO)
        for event in events
        for subscriber in _receivers(event, patterns[event.type], subscribers)
    ]
    queue_rows.insert(deliveries)


def wants(type: str, owner_id: uuid.UUID | None) -> bool:
    """Say whether a webhook subscribed to this type may see events of this owner: a listener of the bus."""
    mine = Q(webhook__owner__isnull=True) | Q(webhook__owner=owner_id)
    return Subscription.objects.filter(mine, pattern__in=patterns_for(type), webhook__deleted_at__isnull=True).exists()


def _subscribers(patterns: Iterable[str], owners: Iterable[uuid.UUID | None]) -> dict[str, dict[uuid.UUID, _Subscriber]]:
    """Return the webhooks of each pattern that may see events of one of these owners."""
    mine = Q(webhook__owner__isnull=True) | Q(webhook__owner__in=[owner for owner in owners if owner])
    rows = Subscription.objects.filter(mine, pattern__in=list(patterns), webhook__deleted_at__isnull=True)
    found: dict[uuid.UUID, _Subscriber] = {}
    by_pattern: dict[str, dict[uuid.UUID, _Subscriber]] = {}
    for pattern, webhook_id, owner_id, lane, condition in rows.values_list(
        "pattern", "webhook_id", "webhook__owner_id", "webhook__priority", "webhook__filter"
    ):
        subscriber = found.setdefault(webhook_id, _Subscriber(webhook_id, owner_id, lane, condition))
        by_pattern.setdefault(pattern, {})[webhook_id] = subscriber
    if found:
        scopes = WebhookRepository.objects.filter(webhook_id__in=rows.values("webhook_id"))
        for webhook_id, repository_id in scopes.values_list("webhook_id", "repository_id"):
            if webhook_id in found:
                found[webhook_id].repositories.add(repository_id)
    return by_pattern


def _receivers(event: Event, patterns: Iterable[str], subscribers: dict[str, dict[uuid.UUID, _Subscriber]]) -> Iterator[_Subscriber]:
    candidates = {subscriber.id: subscriber for pattern in patterns for subscriber in subscribers.get(pattern, {}).values()}
    about = _about(event)
    body = envelope(event)
    for subscriber in candidates.values():
        if subscriber.owner_id not in (None, event.owner_id) or str(subscriber.id) == about:
            continue
        if subscriber.repositories and event.repository_id not in subscriber.repositories:
            continue
        if matches(subscriber.filter, body):
            yield subscriber


def _about(event: Event) -> str:
    """Return the id of the webhook that an operational event is about."""
    event_type = catalogue.find(event.type)
    if event_type is None or not event_type.operational or not isinstance(event.payload, dict):
        return ""
    return str(event.payload.get("webhook_id", ""))
