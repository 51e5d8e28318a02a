"""One event a finding, for those who ask for it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from core.models import Event
from integrations.models import Repository
from scans.models import Finding
from tests.access.keys import client_of
from tests.factories import WebhookFactory, owner_of
from tests.scans.test_uploads import run, sarif, upload
from webhooks.models import WebhookDelivery

pytestmark = pytest.mark.django_db
SINGLE = "finding.opened.single"


@pytest.fixture
def shop(alice: User) -> Repository:
    return Repository.objects.create(provider="github", full_name="acme/shop", owner=owner_of(alice))


def scanned(alice: User, *rules: str) -> None:
    assert upload(client_of(alice), sarif(*rules)).status_code == 202
    run()


def received(name: str) -> list[str]:
    return list(WebhookDelivery.objects.filter(webhook__name=name).order_by("event_id").values_list("event_type", flat=True))


def test_each_finding_is_told_to_who_asks_for_it_by_name_and_nobody_else(alice: User, shop: Repository) -> None:
    WebhookFactory(name="tickets", owner=shop.owner, events=[SINGLE])
    WebhookFactory(name="chat", owner=shop.owner, events=["*", "finding.*"])
    scanned(alice, "sql-injection", "xss", "path-traversal")
    assert received("tickets") == [SINGLE] * 3
    assert [type for type in received("chat") if type.startswith("finding.")] == ["finding.opened"]
    told = [event.payload for event in Event.objects.filter(type=SINGLE)]
    assert {one["finding_id"] for one in told} == {str(id) for id in Finding.objects.values_list("id", flat=True)}
    assert {(one["repository"], one["count"], len(one["findings"])) for one in told} == {("acme/shop", 1, 1)}
    scanned(alice, "sql-injection", "xss", "path-traversal")
    assert len(received("tickets")) == 3


def test_without_a_webhook_that_asks_no_single_event_is_written(alice: User, charlie: User, shop: Repository) -> None:
    WebhookFactory(name="strangers", owner=owner_of(charlie), events=[SINGLE])
    scanned(alice, "sql-injection", "xss")
    assert not Event.objects.filter(type__endswith=".single").exists()


def test_only_the_worst_of_very_many_are_told_singly(alice: User, shop: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scans.announcing.MOST_SINGLE", 2)
    WebhookFactory(name="tickets", events=[SINGLE])
    upload(client_of(alice), sarif("a", "b", "c", level="note"))
    upload(client_of(alice), sarif("d", tool="Bandit"))
    run()
    run()
    assert len(received("tickets")) == 3
    assert Event.objects.filter(type="finding.opened").count() == 2


def test_a_wildcard_made_of_single_events_only_is_refused(alice: User) -> None:
    answer = client_of(alice).post(
        "/api/v1/webhooks", {"name": "x", "url": "https://ci.example.com/", "events": ["finding.opened.*"]}, format="json"
    )
    assert (answer.status_code, "by their exact names" in str(answer.json())) == (400, True)
