"""Closes digests whose window is over: one transaction makes the event and its delivery and deletes what was collected.

Killed before the commit, nothing happened and the next look does it; killed after it, the delivery waits as any other. Who closes
holds the webhook's row, so that neither another worker nor a change of its rules comes between.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import DateTimeField, QuerySet, Value
from django.db.models.functions import Now
from django.utils import timezone

from core import bus
from core.bus import Announcement
from core.errors import InvalidInput, TooLarge
from core.models import Event
from core.times import utc_text
from integrations.messages.digests import DIGEST_TYPE
from webhooks import queue_rows
from webhooks.choices import Trigger
from webhooks.engine.due import lock_states
from webhooks.engine.superseding import record_superseded
from webhooks.models import DigestEntry, SubjectMark, Webhook
from webhooks.queue_rows import NewDelivery
from webhooks.routing.rules import DEFAULT_MAX_EVENTS, routing_of

logger = logging.getLogger(__name__)
_LOOKED_AT = 50
_LATER_SECONDS = 60
# of an event without its data: id, time and type of a hundred characters, with all that stands between them
_BARE_BYTES = 300
_HEAD_BYTES = 2000


class _Window(NamedTuple):
    """What is collected under one key of a webhook."""

    webhook_id: uuid.UUID
    key: str
    latest: bool
    entries: QuerySet[DigestEntry]


def close_next() -> bool:
    """Close one digest that is due; False when there is none, or others have them all in hand."""
    due = DigestEntry.objects.filter(due_at__lte=Now()).order_by("due_at").values_list("webhook_id", "key", "latest")
    for webhook_id, key, latest in dict.fromkeys(due[:_LOOKED_AT]):
        window = _Window(webhook_id, key, latest, DigestEntry.objects.filter(webhook_id=webhook_id, key=key))
        try:
            if _close(window):
                return True
        except DatabaseError:
            raise
        except Exception:  # what one digest holds must not keep the others from leaving
            logger.exception("digest_failed", extra={"webhook": str(webhook_id)})
            window.entries.filter(due_at__lte=Now()).update(due_at=timezone.now() + timedelta(seconds=_LATER_SECONDS))
    return False


def _close(window: _Window) -> bool:
    """Close a window if it is over; says whether something left."""
    with transaction.atomic():
        if window.latest:
            lock_states([window.webhook_id])  # before the webhook's row, as everybody does who needs both
        rows = Webhook.objects.select_for_update(no_key=True, skip_locked=True, of=("self",)).filter(id=window.webhook_id)
        hook = rows.defer("secrets", "headers").first()
        if hook is None:
            return False
        if hook.deleted_at is not None:
            window.entries.delete()
            return False
        now = _over(window)
        if now is None:
            return False
        routing = routing_of(hook.routing)
        most = routing.digest.max_events if routing is not None and routing.digest is not None else DEFAULT_MAX_EVENTS
        most = max(1, min(most, (settings.EVENT_MAX_BYTES - _HEAD_BYTES) // _BARE_BYTES))
        entries = list(window.entries.order_by("ends_at", "id")[:most])
        event_ids = sorted(entry.event_id for entry in entries)
        lane = min(entry.lane for entry in entries)
        window.entries.filter(id__in=[entry.id for entry in entries]).delete()
        if window.latest:
            delivery_id = _deliver_latest(hook, event_ids, lane)
            if routing is not None and routing.supersede:
                SubjectMark.objects.create(delivery_id=delivery_id, webhook_id=hook.id, key=window.key)
        else:
            _deliver_all(hook, event_ids, lane, entries[0].label)
        transaction.on_commit(bus.wake)
    return True


def _over(window: _Window) -> datetime | None:
    """Return the present time if the window is over; otherwise note when to look again, and return None."""
    first = window.entries.order_by("ends_at").annotate(now=Now()).first()
    last = window.entries.order_by("-ends_at").first()
    if first is None or last is None:
        return None  # another has closed it
    now: datetime = first.now
    end = min(first.ends_at, last.due_at)
    if end <= now:
        return now
    window.entries.filter(due_at__lte=now).update(due_at=Value(end, DateTimeField()))
    return None


def _deliver_all(hook: Webhook, event_ids: Sequence[uuid.UUID], lane: int, label: str) -> None:
    rows = list(Event.objects.filter(id__in=event_ids).order_by("id").defer("payload"))
    repositories = {row.repository_id for row in rows}
    repository_id = repositories.pop() if len(repositories) == 1 else None
    try:
        event = bus.record(Announcement(DIGEST_TYPE, _told(rows, _fitting(rows), label), hook.owner_id, repository_id))
    except (InvalidInput, TooLarge, RecursionError):  # nested too deeply for a level more, or hardly any room for the names alone
        event = bus.record(Announcement(DIGEST_TYPE, _told(rows, (), ""), hook.owner_id, repository_id))
    queue_rows.insert([NewDelivery(hook.id, event.id, event.type, hook.owner_id, lane, Trigger.AUTO)])


def _fitting(rows: Sequence[Event]) -> set[uuid.UUID]:
    """Return the events whose data have room: the smallest first, so that as many as possible tell theirs."""
    room = settings.EVENT_MAX_BYTES - _HEAD_BYTES - _BARE_BYTES * len(rows)
    kept = set()
    for row in sorted(rows, key=lambda row: row.size):
        room -= row.size
        if room < 0:
            break
        kept.add(row.id)
    return kept


def _told(rows: Sequence[Event], kept: Collection[uuid.UUID], label: str) -> dict[str, Any]:
    data = dict(Event.objects.filter(id__in=kept).values_list("id", "payload"))
    return {
        "count": len(rows),
        "key": label,
        "since": utc_text(rows[0].created_at),
        "until": utc_text(rows[-1].created_at),
        "left_out": len(rows) - len(kept),
        "events": [{"id": str(row.id), "type": row.type, "timestamp": utc_text(row.created_at), "data": data.get(row.id)} for row in rows],
    }


def _deliver_latest(hook: Webhook, event_ids: Sequence[uuid.UUID], lane: int) -> uuid.UUID:
    types = dict(Event.objects.filter(id__in=event_ids).values_list("id", "type"))
    *earlier, last = [NewDelivery(hook.id, id, types[id], hook.owner_id, lane, Trigger.AUTO) for id in event_ids]
    record_superseded(earlier)
    (delivery_id,) = queue_rows.insert([last])
    return delivery_id
