"""Browsers for each role, and one of everything to look at."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from access import services as access_services
from access.models import ApiKey, ApiUsage
from access.owners import owner_for_user
from core.models import Housekeeping, Worker
from tests.factories import EventFactory, RepositoryFactory
from webhooks import services
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery

EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _roles(db: None) -> None:
    access_services.ensure_roles()


@pytest.fixture
def log_in() -> Callable[[User], Client]:
    def _log_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return _log_in


def make_webhook(owner: User | None = None, name: str = "hook", **values: Any) -> Webhook:
    owner_id = owner_for_user(owner).id if owner else None
    given = {"name": name, "url": "https://example.com/hook", "events": ["custom.*"], "owner_id": owner_id} | values
    return services.create_webhook(services.WebhookValues(**given))[0]


def make_delivery(webhook: Webhook, **values: Any) -> WebhookDelivery:
    event = EventFactory(owner_id=webhook.owner_id, payload={"title": EVIL})
    given = {
        "status": "failed",
        "attempts": 1,
        "last_error": EVIL,
        "last_error_class": "client_error",
        "finished_at": timezone.now(),
    } | values
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, event=event, event_type=event.type, owner_id=webhook.owner_id, next_attempt_at=None, **given
    )
    DeliveryAttempt.objects.create(
        delivery=delivery,
        webhook_id=webhook.id,
        number=1,
        outcome="failed",
        started_at=timezone.now(),
        url=webhook.url,
        status_code=404,
        request_headers={"webhook-id": str(event.id), "x-evil": EVIL},
        response_headers={"x-evil": EVIL},
        response_body=EVIL,
        error_class="client_error",
        error=EVIL,
        dns_ms=1.0,
        connect_ms=2.0,
        first_byte_ms=3.0,
        total_ms=10.0,
    )
    return delivery


def make_key(owner: User, name: str = "key") -> ApiKey:
    key = access_services.create_key(access_services.KeyValues(name=name, owner_id=owner_for_user(owner).id))[0]
    ApiUsage.objects.create(key=key, day=timezone.now().date(), route="GET /api/v1/webhooks", requests=3)
    return key


@pytest.fixture
def things(alice: User, team: Group) -> SimpleNamespace:
    """One of everything that alice owns, with names that want to run."""
    repository = RepositoryFactory(owner=owner_for_user(alice))
    webhook = make_webhook(alice, EVIL, headers={"X-Token": "very-secret"}, repositories=[repository], filter={"title": EVIL})
    delivery = make_delivery(webhook)
    return SimpleNamespace(
        webhook=webhook,
        delivery=delivery,
        event=delivery.event,
        repository=repository,
        key=make_key(alice, EVIL),
        team=team,
        worker=Worker.objects.create(kind="deliveries", host=EVIL, pid=1),
        housekeeping=Housekeeping.objects.create(job="prune", slot="2026-01-01", state="failed", error=EVIL),
    )
