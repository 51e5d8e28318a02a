"""Whatever people and engines do in whatever order: counters and due times say what the rows say."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from django.utils import timezone

from core.bus import Announcement, publish_all
from core.errors import Conflict
from core.models import Worker
from tests.webhooks.engine_kit import assert_truth, hook, reply, result, worker
from webhooks.choices import DeliveryStatus
from webhooks.engine.store import Store, WorkerBuried
from webhooks.engine.sweep import sweep
from webhooks.engine.types import Claimed
from webhooks.models import DeliveryAttempt, Lease, Webhook, WebhookDelivery, WebhookState
from webhooks.services import cancel, disable, enable, redeliver, send_test

pytestmark = pytest.mark.django_db
ANSWERS = [200, 200, 200, 404, 410, 429, 500, 503]


class World:
    """Three webhooks, two workers, and everything that can happen to them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        news = ["custom.*", "webhook.disabled", "delivery.failed", "webhook.failing"]
        self.hooks = [
            hook(concurrency=3),
            hook(rate_limit=5.0, retry_config={"schedule": [1]}, events=news),
            hook(retry_config={"schedule": []}, events=news),
        ]
        self.workers: list[tuple[Store, list[Claimed]]] = [(worker(), []), (worker(), [])]
        self.ended: list[Any] = []

    def step(self) -> None:
        actions = [self.publish, self.turn, self.turn, self.turn, self.redeliver, self.cancel, self.switch, self.test, self.sweep]
        actions += [self.time_passes, self.time_passes, self.repeat, self.give_back]
        with contextlib.suppress(Conflict, WorkerBuried):
            self.random.choice(actions)()

    def publish(self) -> None:
        publish_all([Announcement(f"custom.n{number}", {}) for number in range(self.random.randint(1, 4))])

    def turn(self) -> None:
        store, held = self.random.choice(self.workers)
        self.random.shuffle(held)
        count = self.random.randint(0, len(held))
        done, held[:count] = [result(one, self.answer()) for one in held[:count]], []
        self.ended = done
        held += store.turn(done, self.random.choice([0, 1, 5, 50])).claimed

    def answer(self) -> Any:
        status = self.random.choice(ANSWERS)
        return reply(status, retry_after=self.random.choice([None, 30.0]))

    def repeat(self) -> None:
        store, held = self.random.choice(self.workers)
        held += store.turn(self.ended, 1).claimed

    def give_back(self) -> None:
        store, held = self.random.choice(self.workers)
        store.give_back_all_but({one.token for one in held[:1]})
        held[:] = [one for one in held if held and one.token == held[0].token]

    def delivery(self) -> WebhookDelivery:
        rows = list(WebhookDelivery.objects.order_by("id"))
        if not rows:
            raise Conflict("nothing there yet")
        return self.random.choice(rows)

    def redeliver(self) -> None:
        redeliver(self.delivery())

    def cancel(self) -> None:
        cancel(self.delivery())

    def test(self) -> None:
        send_test(self.random.choice(self.hooks))

    def switch(self) -> None:
        self.random.choice([enable, enable, disable])(Webhook.objects.get(id=self.random.choice(self.hooks).id))

    def sweep(self) -> None:
        number = self.random.randrange(len(self.workers))
        store, held = self.workers[number]
        Worker.objects.filter(id=store.worker_id).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
        sweep()
        self.workers.append((worker(), []))
        if self.random.random() < 0.5:  # the dead one comes back with its outcomes
            store.turn([result(one, self.answer()) for one in held], 0)
        del self.workers[number]

    def time_passes(self) -> None:
        from webhooks.engine.due import lock_states, recompute

        WebhookDelivery.objects.filter(status="pending").update(next_attempt_at=timezone.now())
        WebhookState.objects.update(hold_until=None, tokens_at=None)
        ids = [made.id for made in self.hooks]
        lock_states(ids)
        recompute(ids, list(WebhookState.objects.filter(full=True).values_list("webhook_id", flat=True)))

    def drain(self) -> None:
        """Let everything end well."""
        for made in self.hooks:
            enable(Webhook.objects.get(id=made.id))
        for store, held in self.workers:
            with contextlib.suppress(WorkerBuried):
                store.turn([result(one) for one in held], 0)
        store = self.workers[0][0]
        for _round in range(30):
            self.time_passes()
            held = store.turn([], 500).claimed
            store.turn([result(one) for one in held], 0)


@pytest.mark.no_cover  # thousands of steps through what other tests reach
@pytest.mark.parametrize("seed", range(5))
def test_counters_always_equal_the_truth(seed: int) -> None:
    world = World(seed)
    for step in range(60):
        world.step()
        if step % 5 == 0:
            assert_truth()
    world.drain()
    assert_truth()
    assert not WebhookDelivery.objects.filter(status=DeliveryStatus.PENDING).exists()
    assert not Lease.objects.exists()
    for row in WebhookDelivery.objects.all():
        numbers = list(DeliveryAttempt.objects.filter(delivery_id=row.id).order_by("number").values_list("number", flat=True))
        assert numbers == list(range(1, row.attempts + 1))
