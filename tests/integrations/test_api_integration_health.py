from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Circuit
from integrations.health.record import record_check
from integrations.models import HealthDay, IntegrationHealth
from tests.access.keys import client_of
from tests.factories import owner_of, statements
from tests.integrations.health_kit import make_integration, sample_at, stub  # noqa: F401

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def _url(row, query: str = "") -> str:
    return f"/api/v1/integrations/{row.pk}/health{query}"


def test_it_says_how_an_integration_stands_and_how_its_days_were(alice):
    row = make_integration(owner=owner_of(alice), sla_availability=99.0, sla_response_ms=200)
    today = timezone.now().date()
    HealthDay.objects.create(integration=row, day=today - 2 * DAY, checks=99, failures=1, p50_ms=100, p95_ms=300, p99_ms=400)
    record_check(row, True, 120.0)
    body = client_of(alice, "integrations:read").get(_url(row)).json()
    assert (body["state"], body["checks"], body["failures"], body["availability"]) == ("healthy", 100, 1, 99.0)
    assert body["availability_met"] is True
    assert body["error_budget"] == {"allowed_failures": 1.0, "used": 1, "left_percent": 0.0}
    assert body["targets"] == {"availability": 99.0, "response_ms": 200}
    assert [(day["day"], day["availability_met"], day["response_met"]) for day in body["days"]] == [
        (today.isoformat(), True, True),
        ((today - 2 * DAY).isoformat(), False, False),
    ]
    assert body["next_check_at"]


def test_a_fault_of_the_portal_counts_for_nothing_and_is_named(alice):
    row = make_integration(owner=owner_of(alice), sla_availability=99.0)
    record_check(row, True, 120.0)
    record_check(row, None, None, "unreadable_secret", "A stored secret can't be read.")
    body = client_of(alice, "integrations:read").get(_url(row)).json()
    assert (body["state"], body["checks"], body["failures"], body["availability"], body["unmeasured"]) == ("healthy", 1, 0, 100.0, 1)
    assert (body["not_measured"], body["last_error"]) == ("A stored secret can't be read.", "")
    assert (body["days"][0]["unmeasured"], body["error_budget"]["used"]) == (1, 0)


def test_before_the_first_check_everything_is_open(alice):
    row = make_integration(owner=owner_of(alice), status="inactive")
    IntegrationHealth.objects.all().delete()
    body = client_of(alice).get(_url(row)).json()
    assert (body["state"], body["availability"], body["error_budget"], body["next_check_at"]) == ("unknown", None, None, None)


@pytest.mark.parametrize("has_row", [True, False])
def test_it_is_unhealthy_while_the_breaker_is_open(alice, has_row):
    row, client = make_integration(owner=owner_of(alice)), client_of(alice, "integrations:read")
    record_check(row, True, 120.0)
    if not has_row:
        IntegrationHealth.objects.all().delete()
    opened = timezone.now() - DAY
    Circuit.objects.create(integration_id=row.pk, state="half_open", opened_at=opened, last_error="It answered 500.")
    body = client.get(_url(row)).json()
    assert (body["state"], body["circuit"]) == ("unhealthy", "half_open")
    if has_row:
        assert (body["last_error"], body["since"][:19]) == ("It answered 500.", opened.isoformat()[:19])
    listed = client.get("/api/v1/integrations?health=unhealthy").json()["results"]
    assert [(found["id"], found["health"]) for found in listed] == [(str(row.pk), "unhealthy")]
    assert client.get("/api/v1/integrations?health=healthy").json()["results"] == []
    Circuit.objects.update(state="closed")
    body = client.get(_url(row)).json()
    assert (body["state"], body["circuit"], body["last_error"]) == ("healthy" if has_row else "unknown", "closed", "")


@pytest.mark.parametrize("days", ["0", "-1", "367", "x", "1.5", "٣", ""])
def test_the_number_of_days_is_checked(alice, days):
    answer = client_of(alice).get(_url(make_integration(owner=owner_of(alice)), f"?days={days}"))
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["days"])


def test_a_stranger_does_not_learn_that_it_exists(alice, charlie):
    row = make_integration(owner=owner_of(alice))
    assert client_of(charlie).get(_url(row)).status_code == 404


def test_it_costs_the_same_with_more_days_and_checks(alice):
    row, counts = make_integration(owner=owner_of(alice)), []
    client, now = client_of(alice), timezone.now()
    client.get(_url(row))  # the key's first use writes more
    for number in (1, 20):
        for back in range(number):
            sample_at(row, now)
            HealthDay.objects.get_or_create(integration=row, day=(now - (back + 1) * DAY).date(), defaults={"checks": 1})
        with CaptureQueriesContext(connection) as queries:
            assert client.get(_url(row)).status_code == 200
        counts.append(statements(queries))
    assert counts[0] == counts[1]
