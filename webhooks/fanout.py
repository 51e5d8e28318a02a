"""Fan-out: which webhooks get an event. A sink of the bus, in the publisher's transaction, in a constant number of statements.

It only inserts: deliveries, and for each webhook a DueHint that the drains fold into its state row; for webhooks with such rules
also what waits for a digest, and what a delivery is the latest word of. An open publisher thus never locks anything that a claim
needs. Webhooks without routing rules cost nothing more for them.
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
from webhooks.routing.collecting import NewEntry, collect, mark_subjects, new_entry
from webhooks.routing.facts import Facts
from webhooks.routing.rules import Routing, routing_of


@dataclass
class _Subscriber:
    """A webhook as fan-out sees it."""

    id: uuid.UUID
    owner_id: uuid.UUID | None
    lane: int
    filter: dict[str, Any] | None
    routing: Routing | None
    repositories: set[uuid.UUID] = field(default_factory=set)


def on_events(events: Sequence[Event]) -> None:
    """Insert the deliveries of these events, for active and inactive webhooks alike."""
    patterns = {name: patterns_for(name) for name in {event.type for event in events}}
    subscribers = _subscribers({pattern for some in patterns.values() for pattern in some}, {event.owner_id for event in events})
    if not subscribers:
        return
    made = _Made()
    for event in events:
        facts = Facts(event.type, event.payload)
        for subscriber in _receivers(event, facts, patterns[event.type], subscribers):
            made.add(subscriber, event, facts)
    ids = queue_rows.insert(made.deliveries)
    collect(made.entries)
    mark_subjects([(ids[place], webhook_id, subject) for place, webhook_id, subject in made.subjects])


@dataclass
class _Made:
    """What is inserted for the events of one publication."""

    deliveries: list[NewDelivery] = field(default_factory=list)
    entries: list[NewEntry] = field(default_factory=list)
    subjects: list[tuple[int, uuid.UUID, tuple[str, ...]]] = field(default_factory=list)
    """Of deliveries, by their place."""

    def add(self, subscriber: _Subscriber, event: Event, facts: Facts) -> None:
        """Add what an event becomes for a webhook that receives it."""
        routing, lane = subscriber.routing, subscriber.lane
        if routing is not None:
            lane = routing.lane(lane, facts)
            if routing.digest is not None and routing.digests(facts):
                self.entries.append(new_entry(subscriber.id, event.id, routing.digest, facts, lane))
                return
            if routing.supersede and facts.subject:
                self.subjects.append((len(self.deliveries), subscriber.id, facts.subject))
        self.deliveries.append(NewDelivery(subscriber.id, event.id, event.type, subscriber.owner_id, lane, Trigger.AUTO))


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
    columns = ("pattern", "webhook_id", "webhook__owner_id", "webhook__priority", "webhook__filter", "webhook__routing")
    for pattern, webhook_id, owner_id, lane, condition, routing in rows.values_list(*columns):
        if webhook_id not in found:
            found[webhook_id] = _Subscriber(webhook_id, owner_id, lane, condition, routing_of(routing))
        by_pattern.setdefault(pattern, {})[webhook_id] = found[webhook_id]
    if found:
        scopes = WebhookRepository.objects.filter(webhook_id__in=rows.values("webhook_id"))
        for webhook_id, repository_id in scopes.values_list("webhook_id", "repository_id"):
            if webhook_id in found:
                found[webhook_id].repositories.add(repository_id)
    return by_pattern


def _receivers(
    event: Event, facts: Facts, patterns: Iterable[str], subscribers: dict[str, dict[uuid.UUID, _Subscriber]]
) -> Iterator[_Subscriber]:
    candidates = {subscriber.id: subscriber for pattern in patterns for subscriber in subscribers.get(pattern, {}).values()}
    about = _about(event)
    body = envelope(event)
    for subscriber in candidates.values():
        if subscriber.owner_id not in (None, event.owner_id) or str(subscriber.id) == about:
            continue
        if subscriber.repositories and event.repository_id not in subscriber.repositories:
            continue
        if matches(subscriber.filter, body) and (subscriber.routing is None or subscriber.routing.passes(facts)):
            yield subscriber


def _about(event: Event) -> str:
    """Return the id of the webhook that an operational event is about."""
    event_type = catalogue.find(event.type)
    if event_type is None or not event_type.operational or not isinstance(event.payload, dict):
        return ""
    return str(event.payload.get("webhook_id", ""))
