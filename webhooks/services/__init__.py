"""What people do with webhooks and deliveries. Each function is one transaction, audited, and announced as an event."""

from __future__ import annotations

from webhooks.services.deliveries import cancel, redeliver, send_test
from webhooks.services.manage import create_webhook, delete_webhook, rotate_secret, update_webhook
from webhooks.services.posting import post_events
from webhooks.services.purge import purge_deleted_webhooks
from webhooks.services.switch import disable, enable
from webhooks.services.values import WebhookValues

__all__ = [
    "WebhookValues",
    "cancel",
    "create_webhook",
    "delete_webhook",
    "disable",
    "enable",
    "post_events",
    "purge_deleted_webhooks",
    "redeliver",
    "rotate_secret",
    "send_test",
    "update_webhook",
]
