"""What a claim reads on PostgreSQL, by its own account: never more than there is room for, however many rows are due."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from tests.factories import EventFactory
from tests.webhooks.engine_kit import hook
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


def plan(statement: str, parameters: Any) -> dict[str, Any]:
    """Return the plan that a prepared statement settles for, as it was executed."""
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters, prepare=True)
        (found,) = cursor.fetchone() or ({},)
        cursor.execute("SET LOCAL plan_cache_mode = auto")
    root: dict[str, Any] = found[0]["Plan"]
    return root


def nodes(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield root
    for child in root.get("Plans", []):
        yield from nodes(child)


def rows_read(root: dict[str, Any], table: str) -> float:
    found = [node for node in nodes(root) if node.get("Relation Name") == table]
    return sum(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in found)


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
