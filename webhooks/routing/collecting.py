"""What fan-out notes of webhooks with routing rules, in the publisher's transaction: one INSERT of a kind, however many rows.

By the database's clock, as deliveries are: windows of events from several machines are then one and the same.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from core.ids import uuid7
from webhooks.models import SubjectMark
from webhooks.routing.facts import Facts
from webhooks.routing.rules import Digest, DigestMode

_POSTGRES_ENTRIES = """
INSERT INTO webhooks_digestentry (id, webhook_id, event_id, key, label, latest, lane, ends_at, due_at)
SELECT id, webhook_id, event_id, key, label, latest, lane,
    statement_timestamp() + ends * interval '1 second', statement_timestamp() + due * interval '1 second'
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::boolean[], %s::smallint[], %s::int[], %s::int[])
    AS row (id, webhook_id, event_id, key, label, latest, lane, ends, due)
"""
_SQLITE_ENTRIES = """
INSERT INTO webhooks_digestentry (id, webhook_id, event_id, key, label, latest, lane, ends_at, due_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
    json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'),
    strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', json_extract(value, '$[7]') || ' seconds'),
    strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', json_extract(value, '$[8]') || ' seconds')
FROM json_each(%s)
"""
_MAX_LABEL = 300


class NewEntry(NamedTuple):
    """An event to collect."""

    webhook_id: uuid.UUID
    event_id: uuid.UUID
    key: str
    label: str
    latest: bool
    lane: int
    window_seconds: int
    due_seconds: int


def new_entry(webhook_id: uuid.UUID, event_id: uuid.UUID, digest: Digest, facts: Facts, lane: int) -> NewEntry:
    """Return the entry of an event for the digest of its key."""
    parts = [(name, facts.part(name)) for name in digest.key]
    latest = digest.mode == DigestMode.LATEST
    label = ", ".join(f"{name}={value}" for name, value in parts if value)[:_MAX_LABEL]
    quiet = digest.quiet_seconds or digest.window_seconds
    return NewEntry(webhook_id, event_id, _hashed([digest.mode, *parts]), label, latest, lane, digest.window_seconds, quiet)


def collect(entries: Sequence[NewEntry]) -> None:
    """Insert what waits for digests."""
    if not entries:
        return
    rows = [(uuid7(), *entry) for entry in entries]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRES_ENTRIES, [list(column) for column in zip(*rows, strict=True)])
        else:
            plain = [[id.hex, hook.hex, event.hex, *rest] for id, hook, event, *rest in rows]
            cursor.execute(_SQLITE_ENTRIES, [json.dumps(plain)])


def mark_subjects(marks: Sequence[tuple[uuid.UUID, uuid.UUID, Sequence[str]]]) -> None:
    """Note of deliveries (with their webhooks) what they are the latest word of."""
    rows = [SubjectMark(delivery_id=delivery, webhook_id=hook, key=_hashed(list(subject))) for delivery, hook, subject in marks]
    SubjectMark.objects.bulk_create(rows)


def _hashed(parts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
