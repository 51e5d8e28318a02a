"""publish(): the one way to say that something happened.

The Event row and everything the sinks write are part of the caller's transaction: if it commits, the deliveries exist; if
it rolls back, nothing was said. Sinks are named in settings.EVENT_SINKS, so publishers never import consumers; a sink only
writes rows. An optional sink that fails is rolled back to its savepoint and logged; a required one fails the publisher.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from core import context
from core.errors import InvalidInput, TooLarge
from core.event_types import check_data
from core.fields import JSONValue, RawJSON, RawJSONField
from core.ids import uuid7
from core.models import Event

logger = logging.getLogger(__name__)
WAKE_CHANNEL = "repoguard_deliveries"
_INSERT_ROWS = 500
_types: dict[Sink, frozenset[str]] = {}


class Listener(Protocol):
    """Says what a sink has a use for."""

    def __call__(self, type: str, owner_id: uuid.UUID | None) -> bool:
        """Say whether an event of this type and owner would be delivered to anybody; one statement."""


@dataclass(frozen=True)
class Announcement:
    """What a publisher says: a type, its data, and whose it is."""

    type: str
    data: JSONValue
    owner_id: uuid.UUID | None = None
    repository_id: uuid.UUID | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Prepared:
    """A checked event that is not stored yet, and its data."""

    event: Event
    data: JSONValue


class Sink(Protocol):
    """Takes the events of one publication, inside the publisher's transaction."""

    def __call__(self, events: Sequence[Event]) -> None:
        """Write whatever rows follow from `events`."""


def publish(
    type: str,
    data: JSONValue,
    *,
    owner_id: uuid.UUID | None = None,
    repository_id: uuid.UUID | None = None,
    idempotency_key: str | None = None,
) -> Event:
    """Publish one event; with an `idempotency_key` that was used before, return that event and publish nothing.

    Raises InvalidInput for an unknown type, data that JSON can't express or that break a strict schema; TooLarge for data over
    EVENT_MAX_BYTES.
    """
    return publish_all([Announcement(type, data, owner_id, repository_id, idempotency_key)])[0]


def publish_all(announcements: Sequence[Announcement]) -> list[Event]:
    """Publish several events in one transaction, in order; raises as publish() does, and then publishes none."""
    return publish_prepared([prepare(announcement) for announcement in announcements])


def is_wanted(type: str, owner_id: uuid.UUID | None) -> bool:
    """Say whether anybody would receive an event of this type and owner: for types that are published on demand only."""
    return any(wants(type, owner_id) for wants in _listeners())


def prepare(announcement: Announcement) -> Prepared:
    """Check an announcement and make its event, without storing it; raises InvalidInput and TooLarge."""
    return Prepared(_event(announcement), announcement.data)


def publish_prepared(prepared: Sequence[Prepared]) -> list[Event]:
    """Publish events that prepare() made, in one transaction and in order."""
    events = [one.event for one in prepared]
    with transaction.atomic():
        known = _insert(events)
        for one in prepared:
            one.event.payload = one.data
        fresh = [event for event in events if known.get(event.idempotency_key or "", event) is event]
        for taker in _sinks():
            _feed(taker, fresh)
        transaction.on_commit(wake)
    return [known.get(event.idempotency_key or "", event) for event in events]


def record(announcement: Announcement) -> Event:
    """Store an event that only its recorder delivers (a test send): no sink hears of it. Raises as publish() does."""
    event = _event(announcement)
    event.save(force_insert=True)
    event.payload = announcement.data
    return event


def _event(announcement: Announcement) -> Event:
    check_data(announcement.type, announcement.data)
    try:
        text = RawJSON(RawJSONField.dump(announcement.data))
    except (ValueError, RecursionError) as error:
        raise InvalidInput.of("data", "holds a number that JSON can't express, or is nested too deeply.") from error
    if len(text) > settings.EVENT_MAX_BYTES:
        sentence = f"is {len(text)} bytes of JSON; EVENT_MAX_BYTES allows {settings.EVENT_MAX_BYTES}."
        raise TooLarge(f"data: {sentence}", fields={"data": [sentence]})
    return Event(
        id=uuid7(),
        type=announcement.type,
        payload=text,
        size=len(text),
        owner_id=announcement.owner_id,
        repository_id=announcement.repository_id,
        actor=context.actor().label[:200],
        request_id=context.request_id(),
        idempotency_key=announcement.idempotency_key,
        created_at=timezone.now(),
    )


def _insert(events: Sequence[Event]) -> dict[str, Event]:
    """Insert the events and return, by idempotency key, the one event of each key: ours, or one published before."""
    mine: dict[str, Event] = {}
    for event in events:
        mine.setdefault(event.idempotency_key or str(event.id), event)
    if len(mine) == len(events) and not any(event.idempotency_key for event in events):
        Event.objects.bulk_create(events, batch_size=_INSERT_ROWS)
        return {}
    # a publisher with the same key at the same moment is waited for here, and then found by the query below
    Event.objects.bulk_create(list(mine.values()), batch_size=_INSERT_ROWS, ignore_conflicts=True)
    keys = [key for key, event in mine.items() if event.idempotency_key]
    ids = dict(Event.objects.filter(idempotency_key__in=keys).values_list("idempotency_key", "id"))
    # of ours nothing is read back: a payload may be megabytes
    before = Event.objects.in_bulk([id for key, id in ids.items() if key and id != mine[key].id])
    return {key: before.get(id, mine[key]) for key, id in ids.items() if key}


def _feed(taker: Taker, events: Sequence[Event]) -> None:
    sink = taker.sink
    if taker.types is not None:
        events = [event for event in events if event.type in taker.types]
    if not events:
        return
    if taker.required:
        sink(events)
        return
    try:
        with transaction.atomic():
            sink(events)
    except Exception:  # a foreign sink may raise anything, and must not take the publisher down
        logger.exception("sink_failed", extra={"sink": repr(sink), "events": [str(event.id) for event in events[:10]]})


@cache
def _listeners() -> list[Listener]:
    return [import_string(str(entry["wants"])) for entry in settings.EVENT_SINKS if "wants" in entry]


def takes(types: Collection[str]) -> Callable[[Sink], Sink]:
    """Have the decorated sink hear of events of these types only."""

    def mark(sink: Sink) -> Sink:
        _types[sink] = frozenset(types)
        return sink

    return mark


class Taker(NamedTuple):
    """A sink, as the settings name it."""

    sink: Sink
    required: bool
    types: frozenset[str] | None = None
    """The types that it takes; None is all of them. An optional one costs a savepoint, which others are spared."""


@cache
def _sinks() -> list[Taker]:
    sinks = ((import_string(str(entry["sink"])), bool(entry["required"])) for entry in settings.EVENT_SINKS)
    return [Taker(sink, required, _types.get(sink)) for sink, required in sinks]


def wake() -> None:
    """Tell idle drains that something is due (PostgreSQL; elsewhere they poll)."""
    # after the commit and outside of it: NOTIFY inside a transaction takes a database-wide lock at commit
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [WAKE_CHANNEL])
    except DatabaseError:
        logger.warning("wake_failed")  # the drains look once a second anyway
