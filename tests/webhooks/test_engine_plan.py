"""What a claim reads on PostgreSQL, by its own account: never more than there is room for, however many rows are due."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import EventFactory
from tests.plans import nodes, plan, rows_read
from tests.webhooks.engine_kit import hook
from webhooks import recovery
from webhooks.engine.due import RECOMPUTE
from webhooks.models import Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such plan")]
MANY = 50_000
DELIVERIES = "webhooks_webhookdelivery"
_FILL = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, lane, "trigger", status, attempts, step,
    next_attempt_at, last_error_class, last_error, created_at)
SELECT gen_random_uuid(), %s, %s, 'custom.thing', 1, 'auto', 'pending', 0, 0, now() - n * interval '1 ms', '', '', now()
FROM generate_series(1, %s) AS n
"""


@pytest.fixture
def crowded(db: None) -> Webhook:
    made, event = hook(), EventFactory()
    with connection.cursor() as cursor:
        cursor.execute(_FILL, [made.id, event.id, MANY])
        cursor.execute("ANALYZE webhooks_webhookdelivery")
        cursor.execute("ANALYZE webhooks_lease")
    return made


def test_a_claim_reads_no_more_rows_than_it_has_room_for(crowded: Webhook) -> None:
    from webhooks.engine import store_postgres

    for room in (10, 500):
        parameters = {"hooks": [crowded.id], "rooms": [room], "now": timezone.now()}
        assert_bounded(plan(store_postgres.PICK, parameters), room)
        more = {"worker": uuid.uuid4(), "token": uuid.uuid4(), "small": store_postgres.SMALL_PAYLOAD_BYTES}
        with connection.cursor() as cursor:
            assert_bounded(plan(store_postgres.LEASE, parameters | more), room)
            cursor.execute("DELETE FROM webhooks_lease")
    # a webhook that has nothing
    nothing = plan(store_postgres.PICK, {"hooks": [hook().id], "rooms": [500], "now": timezone.now()})
    assert (nothing["Actual Rows"], rows_read(nothing, DELIVERIES)) == (0, 0)
    # and when it is due next is found by a probe of each lane
    due_next = plan(RECOMPUTE, [[], [crowded.id]])
    assert indexes(due_next) == {"delivery_waiting_idx"}
    assert rows_read(due_next, DELIVERIES) <= 3


def indexes(root: dict[str, Any]) -> set[str | None]:
    return {node.get("Index Name") for node in nodes(root) if node.get("Relation Name") == DELIVERIES}


def assert_bounded(root: dict[str, Any], room: int) -> None:
    assert root["Actual Rows"] == room
    assert ("Seq Scan", DELIVERIES) not in {(node["Node Type"], node.get("Relation Name")) for node in nodes(root)}
    assert indexes(root) == {"delivery_waiting_idx"}
    assert rows_read(root, DELIVERIES) <= room + 3
    assert rows_read(root, "core_event") <= room
    assert root["Shared Hit Blocks"] + root["Shared Read Blocks"] <= 100 + 20 * room


# --- recoveries -------------------------------------------------------------------------------------------------------

_ENDED = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, lane, "trigger", status, attempts, step,
    next_attempt_at, last_error_class, last_error, created_at, finished_at)
SELECT (lpad(to_hex(%(first)s + n), 12, '0') || '7000' || '8000' || lpad(to_hex(n), 12, '0'))::uuid, %(webhook)s, %(event)s,
    CASE WHEN n = %(many)s THEN 'custom.rare' ELSE 'custom.thing' END, 1, 'auto', CASE WHEN n %% 10 = 0 THEN 'failed' ELSE 'success' END,
    1, 0, NULL, '', '', now(), now()
FROM generate_series(1, %(many)s) AS n
"""


@pytest.mark.parametrize("statuses", [("failed",), ("failed", "cancelled", "success")])
def test_a_recovery_reads_a_bounded_part_of_its_range_however_rare_a_type_is(statuses: tuple[str, ...], monkeypatch: Any) -> None:
    made, since = hook(), timezone.now() - timedelta(hours=1)
    values = {"first": int(since.timestamp() * 1000), "webhook": made.id, "event": EventFactory().id, "many": MANY}
    with connection.cursor() as cursor:
        cursor.execute(_ENDED, values)
        cursor.execute("ANALYZE webhooks_webhookdelivery")
    monkeypatch.setattr(recovery, "MOST_COUNTED", 1000)
    monkeypatch.setattr(recovery, "MOST_LOOKED_AT", 500)
    selection = recovery.Selection(made.id, since, since + timedelta(hours=1), statuses, ("custom.rare",))
    with CaptureQueriesContext(connection) as queries:
        found = recovery.preview(selection, 1.0)
    assert (found.count, found.more, found.oldest) == (0, True, None), "at least none: its oldest were looked at"
    assert len(queries) == len(statuses)
    assert_read(queries, 1000)
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        batch = recovery.next_batch(selection, None, 100)
    assert (batch.rows, batch.last) == ([], False)
    assert_read(queries, 500)
    seen, rows = 1, []
    while not batch.last:
        batch = recovery.next_batch(selection, batch.cursor, 100)
        seen, rows = seen + 1, rows + batch.rows
    assert [row.event_type for row in rows] == ["custom.rare"]
    assert seen <= 2 + MANY // 500


def assert_read(queries: CaptureQueriesContext, most: int) -> None:
    """Check that each statement over deliveries reads a range of an index, and about as many rows as allowed.

    Where nearly all rows of the range match, the planner may walk the primary key and pass over the few others.
    """
    for sql in [query["sql"] for query in queries if DELIVERIES in query["sql"]]:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
            root = cursor.fetchone()[0][0]["Plan"]
        assert indexes(root) <= {"delivery_webhook_status_idx", "webhooks_webhookdelivery_pkey"}, sql
        assert rows_read(root, DELIVERIES) <= most * 1.25, sql
