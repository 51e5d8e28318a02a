"""What people do with webhooks and deliveries. Each function is one transaction, audited, and announced as an event."""

from __future__ import annotations

from webhooks.services.deliveries import cancel, redeliver, send_test
from webhooks.services.manage import create_webhook, delete_webhook, rotate_secret, update_webhook
from webhooks.services.posting import post_events
from webhooks.services.purge import purge_deleted_webhooks
from webhooks.services.replays import (
    RecoverValues,
    cancel_replay,
    pause_replay,
    preview_recovery,
    resume_replay,
    start_recovery,
)
from webhooks.services.switch import disable, enable
from webhooks.services.values import WebhookValues

__all__ = [
    "RecoverValues",
    "WebhookValues",
    "cancel",
    "cancel_replay",
    "create_webhook",
    "delete_webhook",
    "disable",
    "enable",
    "pause_replay",
    "post_events",
    "preview_recovery",
    "purge_deleted_webhooks",
    "redeliver",
    "resume_replay",
    "rotate_secret",
    "send_test",
    "start_recovery",
    "update_webhook",
]
