"""What the list of receipts reads on PostgreSQL when it is filtered: a page, however many requests there are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from tests.plans import nodes, rows_read
from tests.webhooks.inbound_kit import sender as sender
from tests.webhooks.inbound_kit import source
from webhooks.api.inbound import ReceiptFilter
from webhooks.inbound.selectors import of_verdict, shown_receipts
from webhooks.models import Receipt

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such plan")]
MANY, PAGE = 40_000, 51
TABLE = Receipt._meta.db_table
# every other request is the quiet source's, and was processed but for its oldest; a fifth each of the other's failed and was refused
_FILL = """
INSERT INTO webhooks_receipt (id, source_id, received_at, run_after, state, attempts, max_attempts, progress, error, method,
    remote_address, size, body_hash, parts, verdict, reason, dedupe_id, event, result, duplicates, event_ids)
SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
    CASE WHEN n %% 2 = 0 THEN %(quiet)s ELSE %(loud)s END::uuid, now(), now(),
    CASE WHEN n = 2 OR n %% 10 = 1 THEN 'failed' ELSE 'done' END, 1, 3, '{}', '', 'POST', '', 1, '', 0,
    CASE WHEN n = 4 OR n %% 10 = 3 THEN 'refused' ELSE 'accepted' END, '', 'd' || n, 'push',
    CASE WHEN n = 4 OR n %% 10 = 3 THEN '' WHEN n = 6 OR n %% 10 = 5 THEN 'ignored' ELSE 'processed' END, 0, '[]'
FROM generate_series(1, %(many)s) AS n
"""


def test_a_filtered_page_reads_little_more_than_itself() -> None:
    quiet, loud, silent = source(), source(), source()
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"quiet": quiet.id, "loud": loud.id, "many": MANY})
        cursor.execute(f"ANALYZE {TABLE}")
    rare = [{"outcome": "failed"}, {"verdict": "refused"}, {"outcome": "ignored"}, {"outcome": "waiting"}]
    for values in [*rare, {"verdict": "accepted"}, {"outcome": "processed"}, {}]:
        for of in (quiet, loud, silent):
            root = page(values | {"source": str(of.id)})
            assert "Seq Scan" not in {node["Node Type"] for node in nodes(root) if node.get("Relation Name") == TABLE}, values
            assert rows_read(root, TABLE) <= 12 * PAGE, (values, of)
    found = [page(values | {"source": str(quiet.id)})["Actual Rows"] for values in rare]
    assert found == [1, 1, 1, 0]


def test_the_few_authentic_requests_are_found_behind_a_flood_of_others() -> None:
    quiet, flooded = source(), source()
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"quiet": quiet.id, "loud": flooded.id, "many": MANY})
        cursor.execute(
            f"UPDATE {TABLE} SET verdict = 'refused', result = '', state = 'done' WHERE source_id = %s AND id > ("
            f"SELECT id FROM {TABLE} WHERE source_id = %s ORDER BY id OFFSET 9 LIMIT 1)",
            [flooded.id, flooded.id],
        )
        cursor.execute(f"ANALYZE {TABLE}")
    root = page({"verdict": "accepted", "source": str(flooded.id)})
    assert (root["Actual Rows"], rows_read(root, TABLE)) == (8, 8)
    last = of_verdict(Receipt.objects.filter(source_id=flooded.id), "accepted").order_by("-id").values_list("received_at")[:1]
    assert rows_read(explained(last), TABLE) <= 12


def page(values: dict[str, str]) -> dict[str, Any]:
    """Return the plan of a page's statement, as it was executed."""
    return explained(ReceiptFilter(values, shown_receipts()).qs.order_by("-id")[:PAGE])


def explained(rows: QuerySet[Any, Any]) -> dict[str, Any]:
    """Return the plan of a query's statement, as it was executed."""
    sql, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
        root: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
    return root
