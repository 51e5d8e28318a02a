"""Switching webhooks on and off. A switched-off webhook keeps getting deliveries; they are parked until it is on again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import bus
from core.errors import Conflict
from webhooks.choices import BreakerState, HoldReason, InactiveReason, WebhookStatus
from webhooks.engine.due import lock_states, recompute
from webhooks.events import about_webhook
from webhooks.models import Webhook, WebhookState


def enable(webhook: Webhook) -> Webhook:
    """Switch a webhook on and end its hold, so that what is parked leaves at once; does so also when it is on already.

    Raises Conflict when it was deleted meanwhile.
    """
    with transaction.atomic():
        lock_states([webhook.id])
        if not Webhook.objects.filter(id=webhook.id, deleted_at__isnull=True).exists():
            raise Conflict("This webhook was deleted meanwhile.", code="webhook_deleted")
        changed = _set_status(webhook, WebhookStatus.ACTIVE, InactiveReason.NONE)
        WebhookState.objects.filter(webhook_id=webhook.id).update(
            enabled=True,
            hold_until=None,
            hold_reason=HoldReason.NONE,
            breaker=BreakerState.CLOSED,
            breaker_trips=0,
            consecutive_failures=0,
            failing_since=None,
        )
        recompute([webhook.id])
        if changed:
            audit.record(AuditVerb.ACTED, webhook, action="enable", changes=changed, owner_id=webhook.owner_id)
            bus.publish("webhook.enabled", about_webhook(webhook), owner_id=webhook.owner_id)
        transaction.on_commit(bus.wake)
    return webhook


def disable(webhook: Webhook, reason: InactiveReason = InactiveReason.BY_USER) -> Webhook:
    """Switch a webhook off; what is under way still ends, everything else is parked."""
    with transaction.atomic():
        lock_states([webhook.id])
        changed = _set_status(webhook, WebhookStatus.INACTIVE, reason)
        if changed:
            WebhookState.objects.filter(webhook_id=webhook.id).update(enabled=False)
            recompute([webhook.id])
            audit.record(AuditVerb.ACTED, webhook, action="disable", changes=changed, owner_id=webhook.owner_id)
            bus.publish(
                "webhook.disabled",
                about_webhook(webhook, reason=reason.value, explanation=str(reason.label)),
                owner_id=webhook.owner_id,
            )
    return webhook


def _set_status(webhook: Webhook, status: WebhookStatus, reason: InactiveReason) -> dict[str, list[str]]:
    """Set the status unless it is that already; return what changed, and bring the instance up to date."""
    now = timezone.now()
    rows = Webhook.objects.filter(id=webhook.id).exclude(status=status)
    was = rows.values_list("status", "inactive_reason").first()
    if was is None:
        webhook.refresh_from_db(fields=["status", "inactive_reason", "status_changed_at"])
        return {}
    rows.update(status=status, inactive_reason=reason, status_changed_at=now, updated_at=now)
    webhook.status, webhook.inactive_reason, webhook.status_changed_at, webhook.updated_at = status, reason, now, now
    return {"status": [was[0], status.value], "inactive_reason": [was[1], reason.value]}
