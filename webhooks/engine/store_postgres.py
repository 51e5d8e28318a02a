"""The statements that a busy PostgreSQL feels: one per batch, arrays in, COPY for the log.

They run on psycopg's own cursor within Django's connection and transaction: parameters are bound by the server and the plans
are kept, where Django's cursor would quote every array into the text of the statement.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from django.db import connection
from psycopg import sql
from psycopg.types.json import Jsonb

from webhooks.engine import aftermath
from webhooks.engine.store import CHANGED_FIELDS, HINTS_AT_ONCE, Store
from webhooks.engine.types import EventRow, Result
from webhooks.models import DeliveryAttempt, WebhookState

_TAKE_HINTS = """
DELETE FROM webhooks_duehint WHERE id IN (SELECT id FROM webhooks_duehint ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING webhook_id, count
"""
# per webhook and lane an index scan that stops at the limit: the cost does not depend on how many are due
PICK = """
SELECT pick.id, hook.id AS webhook_id FROM unnest(%(hooks)s::uuid[], %(rooms)s::int[]) AS hook(id, room)
CROSS JOIN LATERAL (
    SELECT due.id FROM (VALUES (0), (1), (2)) AS lane(number)
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_attempt_at FROM webhooks_webhookdelivery d
        WHERE d.webhook_id = hook.id AND d.lane = lane.number AND d.status = 'pending' AND d.next_attempt_at <= %(now)s
          AND NOT EXISTS (SELECT 1 FROM webhooks_lease l WHERE l.delivery_id = d.id)
        ORDER BY d.next_attempt_at LIMIT hook.room
    ) AS due
    ORDER BY lane.number, due.next_attempt_at LIMIT hook.room
) AS pick
"""
_LEASE = """
WITH picked AS MATERIALIZED ({pick}), leased AS (
    INSERT INTO webhooks_lease (delivery_id, webhook_id, owner, token) SELECT id, webhook_id, %(worker)s, %(token)s FROM picked
)
SELECT d.id, d.webhook_id, d.event_id, d.event_type, d.attempts, d.step, d.trigger, e.created_at, e.size, e.request_id
FROM picked JOIN webhooks_webhookdelivery d ON d.id = picked.id JOIN core_event e ON e.id = d.event_id
ORDER BY d.lane, d.next_attempt_at
""".format(pick=PICK)
_FINISH = """
WITH r AS (SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::int[], %s::smallint[], %s::timestamptz[], %s::smallint[], %s::text[], %s::text[],
    %s::timestamptz[])
    AS r(id, token, status, attempts, step, next_attempt_at, last_status_code, last_error_class, last_error, finished_at)
), held AS (
    DELETE FROM webhooks_lease l USING r WHERE l.delivery_id = r.id AND l.token = r.token RETURNING l.delivery_id
)
UPDATE webhooks_webhookdelivery d
SET status = r.status, attempts = r.attempts, step = r.step, next_attempt_at = r.next_attempt_at,
    last_status_code = r.last_status_code, last_error_class = r.last_error_class, last_error = r.last_error, finished_at = r.finished_at
FROM r JOIN held ON held.delivery_id = r.id
WHERE d.id = r.id
RETURNING d.id
"""
_FINISH_COLUMNS = ("status", "attempts", "step", "next_attempt_at", "last_status_code", "last_error_class", "last_error", "finished_at")
_LIVE = "SELECT webhook_id, count(*) FROM webhooks_lease WHERE webhook_id = ANY(%s) GROUP BY webhook_id"
_JSON_COLUMNS = ("request_headers", "response_headers")


class PostgresStore(Store):
    """Store with set-based statements."""

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
        rows = _rows(_LEASE, {**hooks, "now": now, "worker": self.worker_id, "token": token})
        return [EventRow(*row) for row in rows]

    def finish(self, results: Sequence[Result], now: datetime) -> set[uuid.UUID]:
        """End the leases of these deliveries under their tokens."""
        changes = [aftermath.delivery_changes(result, now) for result in results]
        columns = [[change[name] for change in changes] for name in _FINISH_COLUMNS]
        ids, tokens = [result.claimed.delivery_id for result in results], [result.claimed.token for result in results]
        return {row[0] for row in _rows(_FINISH, [ids, tokens, *columns])}

    def insert_attempts(self, results: Sequence[Result]) -> None:
        """Append the attempts to the log by COPY."""
        if not results:
            return
        rows = [aftermath.attempt_values(result) for result in results]
        table = sql.Identifier(DeliveryAttempt._meta.db_table)
        copy = sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(", ").join(map(sql.Identifier, rows[0])))
        with psycopg.Cursor(connection.connection) as cursor, cursor.copy(copy) as stream:
            for row in rows:
                for name in _JSON_COLUMNS:
                    row[name] = Jsonb(row[name], dumps=orjson.dumps)
                stream.write_row(list(row.values()))

    def save_states(self, states: Sequence[WebhookState]) -> None:
        """Write what a turn changes of the state rows in one statement."""
        if states:
            values = [[getattr(state, name) for state in states] for name in CHANGED_FIELDS]
            _rows(_save_states_statement(), [[state.webhook_id for state in states], *values])


def _rows(statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


def _save_states_statement() -> str:
    types = {name: WebhookState._meta.get_field(name).db_type(connection) for name in CHANGED_FIELDS}
    return (
        "UPDATE webhooks_webhookstate s SET " + ", ".join(f"{name} = r.{name}" for name in CHANGED_FIELDS)  # noqa: S608 - our own column names
        + " FROM unnest(%s::uuid[], " + ", ".join(f"%s::{types[name]}[]" for name in CHANGED_FIELDS)
        + ") AS r(webhook_id, " + ", ".join(CHANGED_FIELDS) + ") WHERE s.webhook_id = r.webhook_id"
    )  # fmt: skip
