"""Closing an integration's breaker by hand."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from access import audit
from access.choices import AuditVerb
from core.http import breaker, pauses
from integrations.models import Integration


def reset_circuit(integration: Integration) -> breaker.BreakerState:
    """Close the breaker of an integration, forget its failures, and end a pause that the service asked for.

    Nothing happens, and nothing is noted, where calls go through anyway.
    """
    before, paused = breaker.state(integration.id), pauses.remaining(integration.id)
    with transaction.atomic():
        if breaker.reset(integration.id) or paused:
            changes: dict[str, list[Any]] = {"state": [before.state.value, "closed"], "failures": [before.failures, 0]}
            if paused:
                changes["paused_seconds"] = [round(paused), 0]
            audit.record(AuditVerb.ACTED, integration, action="reset-breaker", changes=changes)
            transaction.on_commit(partial(pauses.forget, integration.id))
    return breaker.state(integration.id)
