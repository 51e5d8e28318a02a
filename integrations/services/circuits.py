"""Closing an integration's breaker by hand."""

from __future__ import annotations

from django.db import transaction

from access import audit
from access.choices import AuditVerb
from core.http import breaker
from integrations.models import Integration


def reset_circuit(integration: Integration) -> breaker.BreakerState:
    """Close the breaker of an integration and forget its failures; nothing happens, and nothing is noted, where it is closed."""
    before = breaker.state(integration.id)
    with transaction.atomic():
        if breaker.reset(integration.id):
            changes = {"state": [before.state.value, "closed"], "failures": [before.failures, 0]}
            audit.record(AuditVerb.ACTED, integration, action="reset-breaker", changes=changes)
    return breaker.state(integration.id)
