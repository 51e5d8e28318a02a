"""Open findings over time: written down as they are, shown as they were."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core.housekeeping import Batch
from integrations.models import Repository
from scans import trend
from scans.models import DailyCount, Finding
from tests.access.keys import client_of
from tests.factories import owner_of
from tests.scans.kit import code, ingest, repository

pytestmark = pytest.mark.django_db


def today() -> date:
    return datetime.now(UTC).date()


def days(repo: Repository) -> list[tuple[date, int, int]]:
    points = trend.trend(Repository.objects.filter(id=repo.id), 90)
    return [(point.day, point.by_severity["high"], point.total) for point in points]


def pass_days(count: int) -> None:
    for row in DailyCount.objects.order_by("day"):
        DailyCount.objects.filter(id=row.id).update(day=row.day - timedelta(days=count))


def test_a_day_keeps_what_was_open_on_it_whatever_comes_after() -> None:
    repo, other = repository(), repository("acme/other")
    ingest(repo, "semgrep", [code("a"), code("b"), code("c", severity="low"), code("d", severity="low")])
    ingest(other, "semgrep", [code("a")])
    Finding.objects.filter(rule="d").update(triage="ignored")
    assert trend.write_down(Batch()).rows == 2
    pass_days(1)
    ingest(repo, "semgrep", [code("a")])
    assert days(repo) == [(today() - timedelta(days=1), 2, 3), (today(), 1, 1)]
    assert [point.total for point in trend.trend(Repository.objects.all(), 90)] == [4, 2]


def test_a_day_is_written_again_until_it_is_over_and_comes_down_to_zero() -> None:
    repo = repository()
    repository("acme/without")
    ingest(repo, "semgrep", [code("a")])
    trend.write_down(Batch())
    ingest(repo, "semgrep", [])
    trend.write_down(Batch())
    assert list(DailyCount.objects.values_list("repository", "high")) == [(repo.id, 0)]
    pass_days(1)
    assert days(repo) == [(today() - timedelta(days=1), 0, 0), (today(), 0, 0)]


def test_it_goes_through_the_repositories_in_batches_and_forgets_old_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trend, "_REPOSITORIES_AT_ONCE", 2)
    for number in range(3):
        ingest(repository(f"acme/r{number}"), "semgrep", [code("a")])
    first = trend.write_down(Batch())
    assert (first.rows, bool(first.cursor)) == (2, True)
    assert trend.write_down(Batch(cursor=first.cursor)) == trend.Step(1, "")
    pass_days(trend.KEPT_DAYS + 1)
    assert (trend.forget(Batch(dry_run=True)).rows, DailyCount.objects.count()) == (3, 3)
    assert (trend.forget(Batch()).rows, DailyCount.objects.count()) == (3, 0)


def test_it_is_asked_for_over_rest_with_a_constant_number_of_statements(alice: User, bob: User, charlie: User) -> None:
    repo = repository(owner=owner_of(alice))
    address, client = f"/api/v1/repositories/{repo.id}/findings/trend", client_of(alice)

    def asked() -> tuple[Any, int]:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
        return answer.json()["points"], len(captured)

    client.get(address)
    points, few = asked()
    assert [(point["day"], point["total"]) for point in points] == [(str(today()), 0)]
    ingest(repo, "semgrep", [code(f"r{number}") for number in range(9)])
    for _ in range(5):
        trend.write_down(Batch())
        pass_days(1)
    points, many = asked()
    assert ([point["total"] for point in points], many) == ([9] * 6, few)
    for wrong in ("0", "367", "x", "-1", "9" * 5000):
        assert client.get(f"{address}?days={wrong}").json()["fields"].keys() == {"days"}
    assert client_of(charlie).get(address).status_code == 404


@pytest.mark.once
def test_the_page_draws_it_for_what_its_caller_sees(alice: User, charlie: User, browser: Client) -> None:
    mine = repository(owner=owner_of(alice))
    ingest(mine, "semgrep", [code("a")])
    ingest(repository("else/where", owner=owner_of(charlie)), "semgrep", [code("a"), code("b")])
    address = reverse("admin:scans_finding_trend")
    assert "The chart begins tomorrow" in browser.get(address).content.decode()
    trend.write_down(Batch())
    pass_days(1)
    assert browser.get(address).context["trend"]["total"] == 3
    narrowed = browser.get(address, {"repository": "acme/shop"})
    assert (narrowed.context["trend"]["total"], "acme/shop" in narrowed.content.decode()) == (1, True)
    for nothing in ("no/such", "a\0b", str(charlie.id)):
        assert browser.get(address, {"repository": nothing}).content == b""
    client = Client()
    client.force_login(alice)
    assert client.get(address).context["trend"]["total"] == 1
    assert client.get(address, {"repository": "else/where"}).content == b""
    assert "repository=acme%2Fshop" in browser.get(reverse("admin:scans_finding_changelist"), {"q": "acme/shop"}).content.decode()
