"""What the filters of the log of outbound calls read: an index that begins with the integration, and no more than a page."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.models import RequestLog
from integrations.models import Integration
from tests.access.keys import client_of
from tests.integrations.health_kit import make_integration, stub  # noqa: F401

pytestmark = pytest.mark.django_db
MANY, PAGE = 100_000, 50
# the calls of 50 integrations, with headers as long as usual; what is rare is oldest, so that reading newest first would read all of them
_FILL = """
INSERT INTO core_requestlog (id, integration_id, purpose, endpoint, method, url, outcome, attempt, status_code, error_class, error,
    request_headers, response_headers, request_bytes, response_bytes, response_body, address, started_at, actor, request_id)
SELECT ('01900000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, CASE WHEN n %% 50 = 0 THEN %s ELSE md5((n %% 50)::text)::uuid END,
    CASE WHEN n <= 2000 THEN 'sign_in' WHEN n %% 7 < 2 THEN 'check' ELSE 'gateway' END,
    CASE WHEN n <= 2000 THEN 'old' WHEN n %% 7 < 2 THEN '' ELSE 'search' END, 'GET', 'https://example.com/' || n,
    CASE WHEN n <= 2000 THEN 'unexpected' ELSE 'success' END, 1,
    CASE WHEN n <= 2000 THEN 418 WHEN n %% 3 = 0 THEN NULL ELSE 200 END, '', '', '{}',
    jsonb_build_object('X-Filler', repeat('x', 1000)), 0, 0, '', '', now(), '', ''
FROM generate_series(1, %s) AS n
"""
FILTERS = [
    ("purpose=sign_in", "requestlog_of_purpose_idx"),
    ("purpose=gateway", "requestlog_of_purpose_idx"),
    ("endpoint=old", "requestlog_endpoint_idx"),
    ("endpoint=search", "requestlog_endpoint_idx"),
    ("endpoint=never-called", "requestlog_endpoint_idx"),
    ("status_code=418", "requestlog_status_idx"),
    ("status_code=200", "requestlog_status_idx"),
    ("status_code=599", "requestlog_status_idx"),
    ("outcome=unexpected", "requestlog_outcome_idx"),
]


@pytest.fixture
def crowded() -> Integration:
    row = make_integration()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_FILL, [row.pk, MANY])
            cursor.execute("ANALYZE core_requestlog")
    return row


def statement(queries: CaptureQueriesContext) -> str:
    """Return the statement that read the page of the log."""
    (sql,) = [query["sql"] for query in queries.captured_queries if 'FROM "core_requestlog"' in query["sql"] and "LIMIT 51" in query["sql"]]
    return str(sql)


def nodes(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield root
    for child in root.get("Plans", []):
        yield from nodes(child)


def assert_served(sql: str, index: str) -> None:
    """Assert that the plan reads by this index, in its order; on PostgreSQL, by its own account, not more than a page."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
            plan = "\n".join(str(row) for row in cursor.fetchall())
            assert index in plan
            assert "TEMP B-TREE" not in plan
            return
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + sql)
        (found,) = cursor.fetchone()
    root = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    scans = [node for node in nodes(root) if node.get("Relation Name") == "core_requestlog"]
    # fewer than a page may also be read by a bitmap of the same index and sorted
    used = {node["Index Name"] for node in nodes(root) if "Index Name" in node}
    assert {name for name in used if "requestlog" in name} == {index}
    assert scans
    assert sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans) <= PAGE + 1


def test_each_filter_of_api_and_admin_is_served_by_an_index(crowded: Integration, admin_user: User, admin_client: Client) -> None:
    client, url = client_of(admin_user, "integrations:read"), reverse("admin:core_requestlog_changelist")
    for filters, index in FILTERS:
        for more in ("", "&since=2020-01-01T00:00:00Z"):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(f"/api/v1/integrations/{crowded.pk}/requests?{filters}{more}").status_code == 200
            assert_served(statement(queries), index)
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(f"{url}?integration={crowded.pk}&{filters}").status_code == 200
        assert_served(statement(queries), index)
    alone = (f"integration={crowded.pk}", "requestlog_integration_idx"), ("outcome=unexpected", "requestlog_all_outcome_idx")
    for filters, index in alone:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get(f"{url}?{filters}").status_code == 200
        assert_served(statement(queries), index)


@pytest.mark.parametrize("filters", ["purpose=check", "endpoint=search", "status_code=404", "integration=nonsense&purpose=check"])
def test_the_admin_filters_so_only_within_an_integration(admin_client: Client, filters: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        shown = admin_client.get(f"{reverse('admin:core_requestlog_changelist')}?{filters}").content.decode()
    assert "Choose an integration as well" in shown
    # an integration that is none has no calls, and nothing is asked
    read = [query["sql"].rpartition('FROM "core_requestlog"')[2] for query in queries.captured_queries]
    assert not [sql for sql in read if "purpose" in sql or "endpoint" in sql or "status_code" in sql]


def test_other_filters_appear_with_an_integration(admin_client: Client) -> None:
    row = make_integration()
    row.endpoints.create(name="search-issues", path="/issues")
    url = reverse("admin:core_requestlog_changelist")
    assert 'name="purpose"' not in admin_client.get(url).content.decode()
    for name, integration_id in (("found", row.pk), ("other", uuid.uuid4())):
        RequestLog.objects.create(
            integration_id=integration_id, method="GET", url=f"https://example.com/{name}", outcome="success", purpose="gateway",
            endpoint="search-issues", status_code=404, started_at="2026-01-01T00:00:00Z",
        )  # fmt: skip
    for filters in ("", "&purpose=gateway", "&endpoint=search-issues", "&status_code=404"):
        shown = admin_client.get(f"{url}?integration={row.pk}{filters}").content.decode()
        assert '<option value="search-issues"' in shown
        assert "/found" in shown
        assert "https://example.com/other" not in shown
    for filters in ("&purpose=check", "&endpoint=other", "&status_code=200"):
        assert "/found" not in admin_client.get(f"{url}?integration={row.pk}{filters}").content.decode()
    for wrong in ("x", "0", "99999999999999999999", "4.5"):
        assert "is no status" in admin_client.get(f"{url}?integration={row.pk}&status_code={wrong}").content.decode()
    assert admin_client.get(f"{url}?integration=nonsense&purpose=check").status_code == 200
