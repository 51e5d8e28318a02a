"""Hundreds of deliveries in any order, many of them again and interpreted in between: the end is that of an orderly delivery."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from django.test import Client

from bench import inbound_state, traffic
from core import leases, work
from core.work import Run
from tests.webhooks.inbound_kit import sender as sender
from tests.webhooks.inbound_kit import work_off
from webhooks.inbound import interpret
from webhooks.models import Receipt

pytestmark = pytest.mark.django_db
CLIENT = Client()


def post(delivery: traffic.Delivery, sources: dict[str, str]) -> None:
    path = f"/api/v1/webhook/{delivery.provider}/{sources[delivery.provider]}"
    assert CLIENT.post(path, delivery.body, content_type="application/json", headers=delivery.headers()).status_code == 202


def interpret_some(choose: random.Random) -> None:
    """Interpret up to ten that wait, in an order that no worker keeps to."""
    rows = work.claim(Receipt, leases.register_worker("work"), limit=choose.randrange(1, 10))
    choose.shuffle(rows)
    for row in rows:
        assert row.lease_token is not None
        work.perform(Run(row, row.lease_token), interpret.interpret)


def test_the_order_of_deliveries_and_their_duplicates_change_nothing() -> None:
    seed = random.SystemRandom().randrange(1000)
    choose = random.Random(seed)
    sources = inbound_state.sources()
    for delivery in traffic.in_order(140, "acme"):
        post(delivery, sources)
        work_off()
    expected = inbound_state.state("acme")
    sources = inbound_state.sources()
    deliveries = traffic.in_order(140, "other")
    sent = traffic.flooded(deliveries, 0.3, choose)
    for delivery in sent:
        post(delivery, sources)
        if choose.random() < 0.2:
            interpret_some(choose)
    work_off()
    again = {key: number - 1 for key, number in Counter(delivery.id for delivery in sent).items()}
    assert sum(again.values()) == 60
    assert inbound_state.differences(expected, inbound_state.state("other"), again) == [], f"seed {seed}"
