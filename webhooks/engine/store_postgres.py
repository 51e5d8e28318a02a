"""The statements that a busy PostgreSQL feels: one per batch, its rows handed over whole.

They run on psycopg's own cursor within Django's connection and transaction: parameters are bound by the server and the plans
are kept, where Django's cursor would quote every array into the text of the statement.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

import orjson
import psycopg
from django.db import connection
from django.utils import timezone

from webhooks.engine import aftermath
from webhooks.engine.store import CHANGED_FIELDS, HINTS_AT_ONCE, WEBHOOKS_AT_ONCE, Store
from webhooks.engine.types import EventRow, LeaseKey, Limits, Result
from webhooks.models import DeliveryAttempt, WebhookDelivery, WebhookState

_TAKE_HINTS = """
DELETE FROM webhooks_duehint WHERE id IN (SELECT id FROM webhooks_duehint ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING webhook_id, count
"""
# Per webhook and lane an index scan that stops at the limit, so the cost does not depend on how many are due. The planner
# can't know that limit and expects thousands of rows: a plain join would make it read whole tables, OFFSET 0 keeps it to
# index look-ups.
PICK = """
SELECT pick.* FROM unnest(%(hooks)s::uuid[], %(rooms)s::int[]) AS hook(id, room)
CROSS JOIN LATERAL (
    SELECT due.* FROM (VALUES (0), (1), (2)) AS lane(number)
    CROSS JOIN LATERAL (
        SELECT d.id, d.webhook_id, d.event_id, d.event_type, d.attempts, d.step, d.trigger, d.lane, d.next_attempt_at
        FROM webhooks_webhookdelivery d
        WHERE d.webhook_id = hook.id AND d.lane = lane.number AND d.status = 'pending' AND d.next_attempt_at <= %(now)s
          AND NOT EXISTS (SELECT 1 FROM webhooks_lease l WHERE l.delivery_id = d.id)
        ORDER BY d.next_attempt_at LIMIT hook.room
    ) AS due
    ORDER BY lane.number, due.next_attempt_at LIMIT hook.room
) AS pick
"""
LEASE = f"""
WITH picked AS MATERIALIZED ({PICK}), leased AS (
    INSERT INTO webhooks_lease (delivery_id, webhook_id, owner, token) SELECT id, webhook_id, %(worker)s, %(token)s FROM picked
)
SELECT picked.id, picked.webhook_id, picked.event_id, picked.event_type, picked.attempts, picked.step, picked.trigger, event.*
FROM picked CROSS JOIN LATERAL (
    SELECT extract(epoch FROM e.created_at)::float8, e.size, e.request_id, CASE WHEN e.size <= %(small)s THEN e.payload END
    FROM core_event e WHERE e.id = picked.event_id OFFSET 0
) AS event
ORDER BY picked.lane, picked.next_attempt_at
"""  # noqa: S608 - joined from our own statements
# one statement writes a batch: its rows come as one JSON text, which costs far less here than arrays of twenty columns
_WRITE = """
WITH result AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) AS x({columns})),
held AS (
    DELETE FROM webhooks_lease l USING result WHERE l.delivery_id = result.delivery_id AND l.token = result.token
    RETURNING l.delivery_id, l.token
), changed AS (
    UPDATE webhooks_webhookdelivery d SET {changes} FROM result JOIN held USING (delivery_id, token) WHERE d.id = result.delivery_id
), logged AS (
    INSERT INTO webhooks_deliveryattempt ({attempt}) SELECT {attempt} FROM result JOIN held USING (delivery_id, token)
)
SELECT delivery_id, token FROM held
"""
_CHANGED = ("status", "attempts", "step", "next_attempt_at", "last_status_code", "last_error_class", "last_error", "finished_at")
_BEAT = "UPDATE core_worker SET heartbeat_at = statement_timestamp() WHERE id = %s RETURNING clock_timestamp()"
_UPCOMING = 'SELECT min(next_due_at) FROM webhooks_webhookstate WHERE enabled AND NOT "full" AND next_due_at IS NOT NULL'
_LIMITS = "SELECT id, concurrency, rate_limit FROM webhooks_webhook WHERE id = ANY(%s) AND deleted_at IS NULL"
_LOCK = "SELECT {columns} FROM webhooks_webhookstate WHERE webhook_id = ANY(%s) ORDER BY webhook_id FOR UPDATE"
_LOCK_DUE = """
SELECT {columns} FROM webhooks_webhookstate WHERE enabled AND NOT "full" AND next_due_at <= %s AND webhook_id <> ALL(%s)
ORDER BY next_due_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
_LIVE = "SELECT webhook_id, count(*) FROM webhooks_lease WHERE webhook_id = ANY(%s) GROUP BY webhook_id"
SMALL_PAYLOAD_BYTES = 65_536


class PostgresStore(Store):
    """Store with set-based statements."""

    def beat(self) -> bool:
        """Renew this worker's heartbeat."""
        rows = _rows(_BEAT, [self.worker_id])
        if rows:
            self.clock_ahead = rows[0][0] - timezone.now()
        return bool(rows)

    def upcoming(self) -> datetime | None:
        """Return when something is due next."""
        return cast("datetime | None", _rows(_UPCOMING, [])[0][0])

    def lock(self, webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, WebhookState]:
        """Lock the state rows of these webhooks."""
        return {state.webhook_id: state for state in _states(_LOCK, [list(webhook_ids)])} if webhook_ids else {}

    def due_states(self, now: datetime, locked: Collection[uuid.UUID]) -> list[WebhookState]:
        """Lock and return due states beside those `locked` already, leaving out what others hold."""
        return _states(_LOCK_DUE, [now, list(locked), WEBHOOKS_AT_ONCE])

    def limits(self, webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Limits]:
        """Return the limits of these webhooks, deleted ones left out."""
        return {row[0]: Limits(*row) for row in _rows(_LIMITS, [list(webhook_ids)])} if webhook_ids else {}

    def take_hints(self) -> dict[uuid.UUID, int]:
        """Take the hints of publishers; returns how many deliveries each webhook was given."""
        added: dict[uuid.UUID, int] = defaultdict(int)
        for webhook_id, count in _rows(_TAKE_HINTS, [HINTS_AT_ONCE]):
            added[webhook_id] += count
        return added

    def live_leases(self, webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
        """Return how many requests of each webhook are open."""
        return dict(_rows(_LIVE, [list(webhook_ids)])) if webhook_ids else {}

    def lease(self, wanted: dict[uuid.UUID, int], token: uuid.UUID, now: datetime) -> list[EventRow]:
        """Lease the next deliveries of each webhook, urgent lanes first."""
        if not wanted:
            return []
        hooks = {"hooks": list(wanted.keys()), "rooms": list(wanted.values())}
        rows = _rows(LEASE, {**hooks, "now": now, "worker": self.worker_id, "token": token, "small": SMALL_PAYLOAD_BYTES})
        return [EventRow(*row) for row in rows]

    def write(self, results: Sequence[Result], now: datetime) -> set[LeaseKey]:
        """End the leases under their tokens, change those deliveries, append their attempts: one statement."""
        rows = [
            {**aftermath.attempt_values(result), **aftermath.delivery_changes(result, now), "token": result.claimed.token}
            for result in results
        ]
        return {(row[0], row[1]) for row in _rows(_write_statement(), [orjson.dumps(rows).decode()])}

    def save_states(self, states: Sequence[WebhookState]) -> None:
        """Write what a turn changes of the state rows in one statement."""
        if states:
            values = [[getattr(state, name) for state in states] for name in CHANGED_FIELDS]
            _rows(_save_states_statement(), [[state.webhook_id for state in states], *values])


def _rows(statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    # wrapped, so that a lost connection is the OperationalError that the engine waits out
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


def _states(statement: str, parameters: Sequence[Any]) -> list[WebhookState]:
    names, columns = _state_columns()
    return [WebhookState.from_db("default", names, row) for row in _rows(statement.format(columns=columns), parameters)]


@cache
def _state_columns() -> tuple[list[str], str]:
    fields = WebhookState._meta.concrete_fields
    return [field.attname for field in fields], ", ".join(f'"{field.column}"' for field in fields)


@cache
def _write_statement() -> str:
    attempt = {str(column.column): str(column.db_type(connection)) for column in DeliveryAttempt._meta.concrete_fields}
    delivery = {name: str(WebhookDelivery._meta.get_field(name).db_type(connection)) for name in _CHANGED}
    return _WRITE.format(
        columns=", ".join(f"{name} {kind}" for name, kind in {**attempt, **delivery, "token": "uuid"}.items()),
        changes=", ".join(f"{name} = result.{name}" for name in _CHANGED),
        attempt=", ".join(attempt),
    )


@cache
def _save_states_statement() -> str:
    types = {name: WebhookState._meta.get_field(name).db_type(connection) for name in CHANGED_FIELDS}
    return (
        "UPDATE webhooks_webhookstate s SET " + ", ".join(f"{name} = r.{name}" for name in CHANGED_FIELDS)  # noqa: S608 - our own column names
        + " FROM unnest(%s::uuid[], " + ", ".join(f"%s::{types[name]}[]" for name in CHANGED_FIELDS)
        + ") AS r(webhook_id, " + ", ".join(CHANGED_FIELDS) + ") WHERE s.webhook_id = r.webhook_id"
    )  # fmt: skip
