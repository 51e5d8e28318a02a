"""The statements that a busy PostgreSQL feels: one per batch, its rows handed over whole, one round trip per stage of a turn.

Each wait for the database is a wait for the interpreter's lock too, which the event loop holds while it sends: so the
statements of a stage go out together, in psycopg's pipeline mode. They remain statements of their own: each sees what was
committed while a lock that was asked for before it was awaited.

They run on psycopg's own cursor within Django's connection and transaction: parameters are bound by the server and the plans
are kept, where Django's cursor would quote every array into the text of the statement.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, cast

import orjson
import psycopg
from django.db import connection
from django.utils import timezone

from core import metrics, prepared
from webhooks.engine import aftermath
from webhooks.engine.due import RECOMPUTE
from webhooks.engine.store import CHANGED_FIELDS, HINTS_AT_ONCE, WEBHOOKS_AT_ONCE, Opened, Store, Written, hooks_of
from webhooks.engine.types import Batch, EventRow, Limits, Result
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
    UPDATE webhooks_webhookdelivery d SET {changes}, finished_at = CASE WHEN result.status <> 'pending' THEN %s::timestamptz END
    FROM result JOIN held USING (delivery_id, token) WHERE d.id = result.delivery_id
), logged AS (
    INSERT INTO webhooks_deliveryattempt ({attempt}) SELECT {attempt} FROM result JOIN held USING (delivery_id, token)
)
SELECT delivery_id, token FROM held
"""
_CHANGED = ("status", "attempts", "step", "next_attempt_at", "last_status_code", "last_error_class", "last_error")
_BEAT = "UPDATE core_worker SET heartbeat_at = statement_timestamp() WHERE id = %s RETURNING statement_timestamp()"
_UPCOMING = """
SELECT min(next_due_at) FROM webhooks_webhookstate WHERE enabled AND NOT "full" AND next_due_at IS NOT NULL AND (%s OR NOT calls)
"""
# every change of a row makes a new version of it, which another transaction wrote or which lies at another place
_LIMITS = """
SELECT webhook.* FROM ({hooks}) AS hook(id) CROSS JOIN LATERAL (
    SELECT w.id, w.concurrency, w.rate_limit, w.xmin::text || w.ctid::text
    FROM webhooks_webhook w WHERE w.id = hook.id AND w.deleted_at IS NULL OFFSET 0
) AS webhook
"""
_LIVE = "SELECT hook.id, (SELECT count(*) FROM webhooks_lease l WHERE l.webhook_id = hook.id) FROM ({hooks}) AS hook(id)"
_NAMED = "SELECT unnest(%s::uuid[])"
# those that a claim may find due; what it leaves out because others hold it is read for nothing
_NAMED_OR_DUE = """
SELECT unnest(%s::uuid[]) UNION ALL (
    SELECT webhook_id FROM webhooks_webhookstate WHERE enabled AND NOT "full" AND next_due_at <= %s ORDER BY next_due_at LIMIT %s
)
"""
_HINT_AGAIN = """
INSERT INTO webhooks_duehint (webhook_id, due_at, count) SELECT id, now(), number FROM unnest(%s::uuid[], %s::int[]) AS hook(id, number)
"""
_LOCK = "SELECT {columns} FROM webhooks_webhookstate WHERE webhook_id = ANY(%s) ORDER BY webhook_id FOR UPDATE"
_LOCK_DUE = """
SELECT {columns} FROM webhooks_webhookstate
WHERE enabled AND NOT "full" AND next_due_at <= %s AND webhook_id <> ALL(%s) AND (%s OR NOT calls)
ORDER BY next_due_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
_COUNT = """
INSERT INTO core_metriccount (name, labels, shard, value) SELECT * FROM unnest(%s::text[], %s::text[], %s::int[], %s::float8[])
ON CONFLICT (name, labels, shard) DO UPDATE SET value = core_metriccount.value + excluded.value
"""
SMALL_PAYLOAD_BYTES = 65_536
# when a webhook that another worker or a service holds is asked for again
_HELD_SECONDS = 0.05
# Planning costs as much as running, and can't know better than the statements say: indexes serve each look-up, whatever the
# statistics of a table that fills and empties all the time
_SETTINGS = ("SET enable_seqscan = off", "SET plan_cache_mode = force_generic_plan")


class PostgresStore(Store):
    """Store with set-based statements."""

    def __init__(self, worker_id: uuid.UUID) -> None:
        super().__init__(worker_id)
        self._prepared: object = None

    def turn(self, results: Sequence[Result], free: int) -> Batch:
        """Record the attempts that ended and lease up to `free` due deliveries; see Store."""
        self._prepare_connection()  # before the transaction, whose failure would undo it
        return super().turn(results, free)

    def open(self, results: Sequence[Result], *, claiming: bool) -> Opened:
        """Do all that needs no decision of ours in one round trip.

        The statements run in their order, so what is recorded and read is seen as it is after the locks were granted.
        """
        for result in results:
            if not result.packed:
                self.pack(result)
        known, now, asked_at = list(hooks_of(results)), self.now(), timezone.now()
        with _together():
            beat = prepared.execute(_BEAT, [self.worker_id]) if claiming else None
            hints = prepared.execute(_TAKE_HINTS, [HINTS_AT_ONCE])
            locked = [prepared.execute(_lock_statement(), [known])] if known else []
            if claiming:
                locked.append(prepared.execute(_lock_due_statement(), [now, known, self.threads > 0, WEBHOOKS_AT_ONCE]))
            ended = prepared.execute(_write_statement(), [_json_array(results), now]) if results else None
            limits, live = _look(known, now) if claiming else (None, None)
        alive = beat.fetchone() if beat else None
        if alive:
            self.clock_ahead = alive[0] - asked_at
        states = _states(locked)
        added = self._added(hints.fetchall())
        written = Written(set(ended.fetchall()) if ended else set(), _limits(limits), dict(live.fetchall()) if live else {})
        first = set(states)  # those locked before the look: what was read of others may be from before their lock
        if added.keys() - states.keys():
            self._lock_hinted(added, states)
        if claiming and (unseen := states.keys() - (written.limits.keys() & first)):
            written = self._look_again(written, list(unseen))
        return Opened(not claiming or alive is not None, alive[0] if alive else now, added, states, written)

    def _prepare_connection(self) -> None:
        """Set up a connection once, and compare the clocks."""
        connection.ensure_connection()
        if self._prepared is connection.connection:
            return
        asked_at = timezone.now()
        with _together():
            for setting in _SETTINGS:
                prepared.execute(setting, [])
            clock = prepared.execute("SELECT statement_timestamp()", [])
        self.clock_ahead = clock.fetchall()[0][0] - asked_at
        self._prepared = connection.connection

    def _lock_hinted(self, added: dict[uuid.UUID, int], states: dict[uuid.UUID, WebhookState]) -> None:
        """Lock also those hinted at. What others hold is hinted at anew: waiting for it out of order could be a deadlock."""
        missing = list(added.keys() - states.keys())
        with _together():
            locked = prepared.execute(_lock_hinted_statement(), [missing])
            existing = prepared.execute("SELECT webhook_id FROM webhooks_webhookstate WHERE webhook_id = ANY(%s)", [missing])
        states |= _states([locked])
        held = [row[0] for row in existing.fetchall() if row[0] not in states]
        if held:
            with _together():
                prepared.execute(_HINT_AGAIN, [held, [added[hook] for hook in held]])
            self._retry_in = _HELD_SECONDS

    def _look_again(self, written: Written, unseen: list[uuid.UUID]) -> Written:
        """Read the limits of those that were due beyond the first look, or hinted at and locked since; deleted webhooks have none."""
        with _together():
            limits, live = _look(unseen, None)
        return Written(written.accepted, written.limits | _limits(limits), written.live | dict(live.fetchall()))

    def pack(self, result: Result) -> None:
        """Prepare what is written of a result, on the thread that has it at hand."""
        values = {**aftermath.attempt_values(result), **aftermath.delivery_changes(result), "token": result.claimed.token}
        result.packed = orjson.dumps(values)

    def lease(self, wanted: dict[uuid.UUID, int], token: uuid.UUID, now: datetime) -> list[EventRow]:
        """Lease the next deliveries of each webhook, urgent lanes first."""
        hooks = {"hooks": list(wanted.keys()), "rooms": list(wanted.values())}
        with _together():
            leased = prepared.execute(LEASE, {**hooks, "now": now, "worker": self.worker_id, "token": token, "small": SMALL_PAYLOAD_BYTES})
        return [EventRow._make(row) for row in leased.fetchall()]

    def finish(self, states: Mapping[uuid.UUID, WebhookState], full: Collection[uuid.UUID], counts: metrics.Counts) -> datetime | None:
        """Write what the turn changed of the state rows, and the metrics; returns when something is due next."""
        hooks = list(states)
        with _together():
            if hooks:
                changed = ([getattr(state, name) for state in states.values()] for name in CHANGED_FIELDS)
                prepared.execute(_save_states_statement(), [hooks, *changed])
                prepared.execute(RECOMPUTE, [list(full), hooks])
            upcoming = prepared.execute(_UPCOMING, [self.threads > 0])
            if counts:  # last, because other processes wait for these rows
                prepared.execute(_COUNT, [list(column) for column in zip(*metrics.sorted_rows(counts), strict=True)])
            if len(connection.atomic_blocks) == 1:  # the turn's own: what would follow alone goes along; Django then finds it done
                prepared.execute("COMMIT", [])
        return cast("datetime | None", upcoming.fetchall()[0][0])

    def upcoming(self) -> datetime | None:
        """Return when something is due next."""
        with _together():
            upcoming = prepared.execute(_UPCOMING, [self.threads > 0])
        return cast("datetime | None", upcoming.fetchall()[0][0])


@contextmanager
def _together() -> Iterator[None]:
    """Send what is asked for inside at once; the answers are there, and errors raised, when it ends."""
    # wrapped, so that a lost connection is the OperationalError that the engine waits out
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def _json_array(results: Sequence[Result]) -> str:
    return (b"[" + b",".join([result.packed for result in results]) + b"]").decode()


def _look(hooks: Collection[uuid.UUID], due_at: datetime | None) -> tuple[psycopg.Cursor[Any], psycopg.Cursor[Any]]:
    """Ask for the limits and the live leases of these webhooks, and of those that are due."""
    named, parameters = (_NAMED, [list(hooks)]) if due_at is None else (_NAMED_OR_DUE, [list(hooks), due_at, WEBHOOKS_AT_ONCE])
    return prepared.execute(_LIMITS.format(hooks=named), parameters), prepared.execute(_LIVE.format(hooks=named), parameters)


def _limits(cursor: psycopg.Cursor[Any] | None) -> dict[uuid.UUID, Limits]:
    return {row[0]: Limits(*row) for row in cursor.fetchall()} if cursor else {}


def _states(cursors: Sequence[psycopg.Cursor[Any]]) -> dict[uuid.UUID, WebhookState]:
    names = _state_columns()[0]
    states = (WebhookState.from_db("default", names, row) for cursor in cursors for row in cursor.fetchall())
    return {state.webhook_id: state for state in states}


@cache
def _state_columns() -> tuple[list[str], str]:
    fields = WebhookState._meta.concrete_fields
    return [field.attname for field in fields], ", ".join(f'"{field.column}"' for field in fields)


@cache
def _lock_statement() -> str:
    return _LOCK.format(columns=_state_columns()[1])


@cache
def _lock_hinted_statement() -> str:
    return _lock_statement() + " SKIP LOCKED"


@cache
def _lock_due_statement() -> str:
    return _LOCK_DUE.format(columns=_state_columns()[1])


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
