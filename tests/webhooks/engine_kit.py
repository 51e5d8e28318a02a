"""What the tests of the delivery engine share: due deliveries, made-up answers, and the truth to hold counters against."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from core import leases
from core.http.sender import Answer
from core.models import Event
from tests.factories import EventFactory, WebhookFactory
from webhooks.choices import DeliveryStatus, Lane
from webhooks.engine.due import oldest_waiting, recompute
from webhooks.engine.judge import judge
from webhooks.engine.request import build, shown_headers
from webhooks.engine.store import WORKER_KIND, Store
from webhooks.engine.stores import new_store
from webhooks.engine.types import Claimed, EventRow, Result, Target
from webhooks.models import DueHint, Webhook, WebhookDelivery, WebhookState
from webhooks.secrets import new_secret

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECRET = new_secret()


def reply(status: int | None = 200, **more: Any) -> Answer:
    """Return an answer of the delivery client."""
    return Answer(**{"started_at": timezone.now(), "status": status, "address": "192.0.2.1"} | more)


def row(**more: Any) -> EventRow:
    """Return a leased delivery that is in no database."""
    values: dict[str, Any] = {
        "delivery_id": uuid.uuid4(),
        "webhook_id": uuid.uuid4(),
        "event_id": uuid.uuid4(),
        "event_type": "custom.thing",
        "attempts": 0,
        "step": 0,
        "trigger": "auto",
        "event_at": NOW.timestamp(),
        "size": 2,
        "request_id": "",
        "data": "{}",
    }
    return EventRow(**(values | more))


def claimed(body: bytes = b"{}", **more: Any) -> Claimed:
    """Return a delivery ready to be sent, in no database; `more` goes to its target."""
    one = more.pop("row", None) or row()
    values: dict[str, Any] = {"url": "https://example.com/hook", "secrets": (SECRET,), "headers": {}, "schedule": (5.0, 300.0)}
    return Claimed(one, uuid.uuid4(), Target(one.webhook_id, **(values | more)), body)


def result(one: Claimed, answer: Answer | int | None = 200, *, ended_at: datetime | None = None, random: float = 0.5) -> Result:
    """Return how an attempt ended that got this answer (or status)."""
    answer = answer if isinstance(answer, Answer) else reply(answer)
    verdict = judge(answer, step=one.row.step + 1, schedule=one.target.schedule, random=lambda: random)
    from core import runtime

    return Result(one, answer, verdict, ended_at or timezone.now(), shown_headers(one, build(one, runtime.current())))


def worker() -> Store:
    """Return the store of a fresh worker, for the database under test."""
    return new_store(leases.register_worker(WORKER_KIND))


def hook(**more: Any) -> Webhook:
    """Return a webhook that hears of `custom.*`."""
    made: Webhook = WebhookFactory(**({"events": ["custom.*"]} | more))
    return made


def due(to: Webhook, count: int = 1, *, ago: float = 1, event: Event | None = None, **more: Any) -> list[WebhookDelivery]:
    """Insert waiting deliveries that became due `ago` seconds ago, a millisecond apart, and fold them into the state."""
    event = event or EventFactory()
    first = timezone.now() - timedelta(seconds=ago)
    values: dict[str, Any] = {"webhook": to, "event": event, "event_type": event.type, "lane": Lane.NORMAL} | more
    rows = [WebhookDelivery(next_attempt_at=first + timedelta(milliseconds=number), **values) for number in range(count)]
    WebhookDelivery.objects.bulk_create(rows)
    state = WebhookState.objects.get(webhook=to)
    state.pending_count += count
    state.save(update_fields=["pending_count"])
    recompute([to.id])
    return rows


def state_of(webhook: Webhook) -> WebhookState:
    return WebhookState.objects.get(webhook=webhook)


def ids(batch: Sequence[Claimed]) -> list[uuid.UUID]:
    return [one.delivery_id for one in batch]


def per_hook(batch: Sequence[Claimed]) -> dict[uuid.UUID, int]:
    found: dict[uuid.UUID, int] = {}
    for one in batch:
        found[one.target.webhook_id] = found.get(one.target.webhook_id, 0) + 1
    return found


def assert_truth() -> None:
    """Assert that counters and due times of every webhook are what its rows say."""
    for state in WebhookState.objects.select_related("webhook").defer("webhook__secrets", "webhook__headers"):
        rows = WebhookDelivery.objects.filter(webhook_id=state.webhook_id)
        counted = {status: rows.filter(status=status).count() for status in DeliveryStatus.values}
        hinted = DueHint.objects.filter(webhook_id=state.webhook_id).aggregate(total=Sum("count", default=0))["total"]
        assert state.pending_count + hinted == counted["pending"], state
        assert (state.success_count, state.failed_count, state.cancelled_count) == (
            counted["success"],
            counted["failed"],
            counted["cancelled"],
        )
        if hinted:
            continue  # the due time is computed when the hint is folded in
        oldest = oldest_waiting(state.webhook_id)
        expected = None
        if oldest is not None and state.enabled:
            expected = max(oldest, state.hold_until) if state.hold_until else oldest
        assert (state.oldest_due_at, state.next_due_at) == (oldest, expected)
