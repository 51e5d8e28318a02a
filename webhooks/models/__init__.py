"""Tables of the webhooks room."""

from __future__ import annotations

from webhooks.models.addresses import ProviderAddresses
from webhooks.models.attempt import DeliveryAttempt
from webhooks.models.backfill import InboundBackfill
from webhooks.models.delivery import DueHint, Lease, WebhookDelivery
from webhooks.models.destination import DestinationMemory, FollowUp
from webhooks.models.inbound import InboundSource, Receipt, ReceiptPart, SettledBody
from webhooks.models.replay import Replay
from webhooks.models.routing import DigestEntry, SubjectMark
from webhooks.models.state import WebhookState
from webhooks.models.webhook import Subscription, Webhook, WebhookRepository

__all__ = [
    "DeliveryAttempt", "DestinationMemory", "DigestEntry", "DueHint", "FollowUp", "InboundBackfill", "InboundSource", "Lease",
    "ProviderAddresses", "Receipt", "ReceiptPart", "Replay", "SettledBody", "SubjectMark", "Subscription", "Webhook",
    "WebhookDelivery", "WebhookRepository", "WebhookState",
]  # fmt: skip
