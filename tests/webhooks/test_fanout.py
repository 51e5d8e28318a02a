from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.bus import Announcement, publish, publish_all
from core.models import Event
from tests.factories import RepositoryFactory, WebhookFactory, owner_of
from tests.webhooks.engine_kit import worker
from tests.webhooks.routing_kit import example, routed
from webhooks.choices import DeliveryStatus, Lane, Trigger
from webhooks.models import DueHint, Webhook, WebhookDelivery, WebhookRepository, WebhookState

pytestmark = pytest.mark.django_db


def receivers(event: Event) -> set[str]:
    return set(WebhookDelivery.objects.filter(event=event).values_list("webhook__name", flat=True))


@pytest.mark.parametrize(
    ("patterns", "name", "received"),
    [
        (["custom.deploy"], "custom.deploy", True),
        (["custom.*"], "custom.deploy", True),
        (["*"], "custom.deploy", True),
        (["custom.deploy.*"], "custom.deploy.eu", True),
        (["custom.deploy.*"], "custom.deploy", False),
        (["custom.deploy"], "custom.deploy.eu", False),
        (["scan.*"], "custom.deploy", False),
        (["*", "custom.*", "custom.deploy"], "custom.deploy", True),
    ],
)
def test_it_delivers_by_name_and_wildcard_once(patterns: list[str], name: str, received: bool) -> None:
    WebhookFactory(name="hook", events=patterns)
    event = publish(name, {})
    assert WebhookDelivery.objects.filter(event=event).count() == int(received)


def test_a_delivery_waits_from_now_on_in_its_webhooks_lane(alice: User) -> None:
    hook = WebhookFactory(owner=owner_of(alice), priority=Lane.LOW)
    before = timezone.now()
    event = publish("custom.deploy", {}, owner_id=hook.owner_id)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.webhook_id, delivery.event_id, delivery.event_type) == (hook.id, event.id, "custom.deploy")
    assert (delivery.status, delivery.trigger, delivery.lane) == (DeliveryStatus.PENDING, Trigger.AUTO, Lane.LOW)
    assert (delivery.attempts, delivery.step, delivery.owner_id) == (0, 0, hook.owner_id)
    assert (delivery.finished_at, delivery.last_status_code) == (None, None)
    assert (delivery.last_error, delivery.last_error_class) == ("", "")
    for moment in (delivery.next_attempt_at, delivery.created_at):
        assert moment is not None
        assert abs((moment - before).total_seconds()) < 60


def test_a_team_gets_its_own_events_and_the_admins_get_all(alice: User, charlie: User) -> None:
    mine, theirs = owner_of(alice), owner_of(charlie)
    WebhookFactory(name="alice", owner=mine)
    WebhookFactory(name="charlie", owner=theirs)
    WebhookFactory(name="admins")
    assert receivers(publish("custom.deploy", {}, owner_id=mine.id)) == {"alice", "admins"}
    assert receivers(publish("custom.deploy", {}, owner_id=theirs.id)) == {"charlie", "admins"}
    assert receivers(publish("custom.deploy", {})) == {"admins"}


def test_owners_are_kept_apart_within_a_batch(alice: User, charlie: User) -> None:
    mine, theirs = owner_of(alice), owner_of(charlie)
    WebhookFactory(name="alice", owner=mine)
    WebhookFactory(name="charlie", owner=theirs)
    first, second = publish_all([Announcement("custom.a", {}, owner_id=mine.id), Announcement("custom.b", {}, owner_id=theirs.id)])
    assert receivers(first) == {"alice"}
    assert receivers(second) == {"charlie"}


def test_a_webhook_limited_to_repositories_hears_of_no_other() -> None:
    shop, blog = RepositoryFactory(), RepositoryFactory()
    hook = WebhookFactory(name="shop only")
    WebhookRepository.objects.create(webhook=hook, repository=shop)
    WebhookFactory(name="all")
    assert receivers(publish("custom.deploy", {}, repository_id=shop.id)) == {"shop only", "all"}
    assert receivers(publish("custom.deploy", {}, repository_id=blog.id)) == {"all"}
    assert receivers(publish("custom.deploy", {})) == {"all"}


def test_a_filter_decides_on_the_data() -> None:
    WebhookFactory(name="high", filter={"severity": {"$in": ["high", "critical"]}})
    assert receivers(publish("custom.deploy", {"severity": "high"})) == {"high"}
    assert receivers(publish("custom.deploy", {"severity": "low"})) == set()


def test_a_filter_sees_the_delivered_body() -> None:
    WebhookFactory(name="eu", filter={"$.type": {"$endsWith": ".eu"}})
    assert receivers(publish("custom.deploy.eu", {})) == {"eu"}
    assert receivers(publish("custom.deploy.us", {})) == set()


def test_an_inactive_webhook_gets_its_deliveries_too() -> None:
    hook = WebhookFactory(status="inactive")
    publish("custom.deploy", {})
    assert WebhookDelivery.objects.filter(webhook=hook, status=DeliveryStatus.PENDING).exists()


def test_a_deleted_webhook_gets_nothing() -> None:
    WebhookFactory(deleted_at=timezone.now())
    publish("custom.deploy", {})
    assert not WebhookDelivery.objects.exists()


def test_wildcards_never_bring_operational_events() -> None:
    WebhookFactory(name="star")
    WebhookFactory(name="exact", events=["webhook.failing"])
    about = WebhookFactory(events=["custom.*"])
    assert receivers(publish("webhook.failing", {"webhook_id": str(about.id)})) == {"exact"}


def test_an_operational_event_never_goes_to_the_webhook_it_is_about() -> None:
    about = WebhookFactory(name="about", events=["delivery.failed"])
    WebhookFactory(name="watcher", events=["delivery.failed"])
    event = publish("delivery.failed", {"webhook_id": str(about.id), "delivery_id": "x"})
    assert receivers(event) == {"watcher"}


def test_an_ordinary_event_may_speak_of_a_webhook_id() -> None:
    hook = WebhookFactory(name="hook")
    assert receivers(publish("custom.deploy", {"webhook_id": str(hook.id)})) == {"hook"}


def test_it_leaves_one_hint_for_each_webhook_and_touches_no_state() -> None:
    hooks = [WebhookFactory(), WebhookFactory(events=["custom.b"])]
    before = list(WebhookState.objects.order_by("webhook_id").values())
    publish_all([Announcement("custom.a", {}), Announcement("custom.b", {}), Announcement("custom.c", {})])
    assert dict(DueHint.objects.values_list("webhook_id", "count")) == {hooks[0].id: 3, hooks[1].id: 1}
    assert list(WebhookState.objects.order_by("webhook_id").values()) == before


def test_deliveries_keep_the_order_of_their_events() -> None:
    WebhookFactory()
    events = publish_all([Announcement("custom.a", {"n": n}) for n in range(300)])
    assert list(WebhookDelivery.objects.order_by("id").values_list("event_id", flat=True)) == [event.id for event in events]


def test_without_a_subscriber_it_writes_nothing(django_assert_num_queries: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        publish("custom.deploy", {})
    assert len(queries) == 4  # savepoint, event, subscriptions, release
    assert not DueHint.objects.exists()


@pytest.mark.parametrize(("webhooks", "events"), [(1, 1), (1, 80), (20, 1), (20, 80)])
def test_it_takes_as_many_statements_for_many_rows_as_for_one(webhooks: int, events: int) -> None:
    shop = RepositoryFactory()
    for hook in WebhookFactory.create_batch(webhooks):
        WebhookRepository.objects.create(webhook=hook, repository=shop)
    announcements = [Announcement(f"custom.t{n}", {}, repository_id=shop.id) for n in range(events)]
    with CaptureQueriesContext(connection) as queries:
        publish_all(announcements)
    assert len(queries) == 7  # savepoint, events, subscriptions, scopes, deliveries, hints, release
    assert WebhookDelivery.objects.count() == webhooks * events


def test_it_never_decrypts_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    WebhookFactory()
    monkeypatch.setattr(Webhook._meta.get_field("secrets"), "decrypt", lambda *_: pytest.fail("a secret was decrypted"), raising=False)
    publish("custom.deploy", {})
    assert WebhookDelivery.objects.count() == 1


def test_a_batch_of_a_thousand_names_of_eight_words_fits_into_one_statement() -> None:
    WebhookFactory(events=["custom.*"])
    publish_all([Announcement(f"custom.{n}.b.c.d.e.f.g", {}) for n in range(1000)])
    assert WebhookDelivery.objects.count() == 1000


# --- routing ----------------------------------------------------------------------------------------------------------


def test_rules_decide_beside_filter_and_repositories() -> None:
    routed({"branches": ["main"], "min_severity": "high"}, name="strict", filter={"tool": "snyk"})
    WebhookFactory(name="all")
    low = {"by_severity": {"low": 3}, "severity": "low"}
    assert receivers(publish("finding.opened", example("finding.opened", tool="snyk"))) == {"strict", "all"}
    for other in ({"ref": "dev"}, low, {"tool": "trivy"}):
        assert receivers(publish("finding.opened", example("finding.opened", **{"tool": "snyk", **other}))) == {"all"}


def test_critical_events_overtake_what_waits_for_the_same_webhook() -> None:
    hooks = [routed({"lanes": "severity"}), routed({})]
    publish_all([Announcement("finding.opened", example("finding.opened", count=n)) for n in range(1, 6)])
    critical = publish("finding.opened", example("finding.opened", by_severity={"critical": 1}))
    batch = worker().turn([], 2).claimed
    assert {one.target.webhook_id: one.row.event_id == critical.id for one in batch} == {hooks[0].id: True, hooks[1].id: False}
