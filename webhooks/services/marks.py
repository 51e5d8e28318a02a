"""Whether a webhook needs a thread for each delivery follows from its integration, and is noted beside it for the claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from core import bus
from integrations.models import Integration
from webhooks.destinations.binding import integration_calls
from webhooks.engine.due import lock_states
from webhooks.models import Webhook, WebhookState


def on_configured(integration: Integration, **_: Any) -> None:
    """Note in the transaction that changes an integration what its webhooks need from now on; hears integrations.signals.configured.

    A webhook that is given this integration at the same moment may miss it: the housekeeping job notes it within minutes. Until
    then nothing is sent otherwise than it should be, since an attempt asks the integration itself how it delivers; only the
    claim counts threads by the mark.
    """
    calls = integration_calls(integration)
    stale = WebhookState.objects.filter(webhook__integration_id=integration.id, calls=not calls)
    ids = list(stale.values_list("webhook_id", flat=True))
    if ids:
        lock_states(ids)
        WebhookState.objects.filter(webhook_id__in=ids).update(calls=calls)
        transaction.on_commit(bus.wake)


def mark_calls(hooks: Sequence[Webhook]) -> int:
    """Note anew whether these webhooks, loaded with their integrations, need a thread for each delivery; returns how many changed."""
    changed = 0
    for calls in (True, False):
        ids = [hook.id for hook in hooks if hook.integration is not None and integration_calls(hook.integration) == calls]
        changed += WebhookState.objects.filter(webhook_id__in=ids, calls=not calls).update(calls=calls)
    return changed
