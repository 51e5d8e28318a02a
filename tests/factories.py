"""Builds the rows that tests start from, with as little said as possible."""

from __future__ import annotations

from typing import Any

import factory
from django.contrib.auth.models import Group, User
from django.utils import timezone

from core.ids import uuid7
from core.models import Event, Owner
from integrations.choices import Provider
from integrations.models import Repository
from webhooks import secrets
from webhooks.models import Subscription, Webhook, WebhookState


def owner_of(who: User | Group) -> Owner:
    """Return the Owner row of a user or team."""
    return Owner.objects.get_or_create(**({"user": who} if isinstance(who, User) else {"team": who}))[0]


class RepositoryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Repository

    provider = Provider.GITHUB
    full_name = factory.Sequence(lambda number: f"acme/shop-{number}")


class EventFactory(factory.django.DjangoModelFactory):
    """An event that no sink has heard of."""

    class Meta:
        model = Event

    id = factory.LazyFunction(uuid7)
    type = "custom.thing"
    payload = factory.LazyFunction(lambda: {"n": 1})
    size = 7
    created_at = factory.LazyFunction(timezone.now)


class WebhookFactory(factory.django.DjangoModelFactory):
    """A webhook with its state and subscriptions, without the checks and events of the service."""

    class Meta:
        model = Webhook
        skip_postgeneration_save = True

    name = factory.Sequence(lambda number: f"hook {number}")
    url = "https://example.com/hook"
    events = factory.LazyFunction(lambda: ["*"])
    secrets = factory.LazyFunction(lambda: secrets.initial(secrets.new_secret()))

    @factory.post_generation
    def state_row(self: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        if create:
            WebhookState.objects.create(webhook=self, enabled=self.status == "active", **kwargs)

    @factory.post_generation
    def subscribe(self: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        if create:
            Subscription.objects.bulk_create([Subscription(webhook=self, pattern=pattern) for pattern in self.events])


def statements(queries: Any) -> int:
    """Return how many statements a request made, without those of the key's use and rate, which also depend on the clock."""
    clocked = ("core_counter", "access_apiusage", 'UPDATE "access_apikey"')
    return sum(not any(name in query["sql"] for name in clocked) for query in queries)
