"""Deliveries of real events to a platform's stub, through the real engine: rows, threads, the door, the log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from core import runtime
from core.bus import publish
from core.models import RequestLog
from integrations import registry
from integrations.contract.values import validate_options, validate_values
from integrations.models import Integration
from tests.connectors.told import example
from tests.webhooks.engine_kit import hook
from tests.webhooks.receivers import wait_for
from webhooks.destinations.binding import integration_calls
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery, WebhookState


def routed(type: str, config: dict[str, Any], credentials: dict[str, Any], events: list[str], **options: Any) -> Webhook:
    """Return a webhook that tells a platform of events, as the services leave it; a failed try is followed by others at once."""
    connector = registry.find(type)
    values, secrets = validate_values(connector, config, credentials)
    category = connector.categories[0]
    to = Integration.objects.create(name=f"my {type}", type=type, category=category, config=values, credentials=secrets)
    chosen = validate_options(connector, options, config=values)
    made = hook(url="", integration=to, destination=chosen, events=events, retry_config={"schedule": [0.2, 0.2]})
    WebhookState.objects.filter(webhook=made).update(calls=integration_calls(to))
    return made


@contextlib.contextmanager
def delivering(settings: Any) -> Iterator[None]:
    """Let the engine deliver while the block runs."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    engine = Engine(20)
    engine.start()
    engine.claim_for(60)
    try:
        yield
    finally:
        engine.stop(0)
        runtime.forget()


def tell(type: str, **data: Any) -> DeliveryAttempt:
    """Publish an event and return the last attempt of its delivery, when that has ended."""
    event = publish(type, dict(example(type).data) | data)
    wait_for(lambda: not WebhookDelivery.objects.filter(event=event, status="pending").exists())
    return DeliveryAttempt.objects.filter(delivery__event=event).latest("number")


def everything_logged() -> str:
    """Return what the logs of deliveries and calls hold."""
    return str([list(rows.values()) for rows in (DeliveryAttempt.objects.all(), RequestLog.objects.all())])
