"""Inserts deliveries and their DueHints: two statements, however many rows.

Due at once by the database's clock, so that a web machine whose clock is ahead delays nothing.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from core.ids import uuid7
from webhooks.choices import Trigger

_POSTGRES_DELIVERIES = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, owner_id, lane, "trigger",
    status, attempts, step, next_attempt_at, last_error_class, last_error, created_at)
SELECT row.*, 'pending', 0, 0, statement_timestamp(), '', '', statement_timestamp()
FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::uuid[], %s::smallint[], %s::text[]) AS row
"""
_POSTGRES_HINTS = """
INSERT INTO webhooks_duehint (webhook_id, due_at, count)
SELECT row.webhook_id, statement_timestamp(), row.count FROM unnest(%s::uuid[], %s::int[]) AS row (webhook_id, count)
"""
_SQLITE_DELIVERIES = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, owner_id, lane, "trigger",
    status, attempts, step, next_attempt_at, last_error_class, last_error, created_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]'),
    json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'),
    'pending', 0, 0, strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'), '', '', strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')
FROM json_each(%s)
"""
_SQLITE_HINTS = """
INSERT INTO webhooks_duehint (webhook_id, due_at, count)
SELECT json_extract(value, '$[0]'), strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now'), json_extract(value, '$[1]') FROM json_each(%s)
"""


class NewDelivery(NamedTuple):
    """A delivery to insert; `owner_id` is the webhook's."""

    webhook_id: uuid.UUID
    event_id: uuid.UUID
    event_type: str
    owner_id: uuid.UUID | None
    lane: int
    trigger: Trigger


def insert(deliveries: Sequence[NewDelivery]) -> list[uuid.UUID]:
    """Insert pending deliveries, due now, and a DueHint for each of their webhooks; return the ids in order."""
    if not deliveries:
        return []
    ids = [uuid7() for _ in deliveries]
    hints = Counter(delivery.webhook_id for delivery in deliveries)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRES_DELIVERIES, [ids, *map(list, zip(*deliveries, strict=True))])
            cursor.execute(_POSTGRES_HINTS, [list(hints), list(hints.values())])
        else:
            rows = [
                [id.hex, row.webhook_id.hex, row.event_id.hex, row.event_type, row.owner_id and row.owner_id.hex, row.lane, row.trigger]
                for id, row in zip(ids, deliveries, strict=True)
            ]
            cursor.execute(_SQLITE_DELIVERIES, [json.dumps(rows)])
            cursor.execute(_SQLITE_HINTS, [json.dumps([[webhook_id.hex, count] for webhook_id, count in hints.items()])])
    return ids
