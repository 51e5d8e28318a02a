"""Whether a webhook's due deliveries are parked: it is switched off, keeps failing, or asked to wait.

A rate limit parks nothing: it only spreads. The rule stands here twice, as a condition and for a row that was read.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from webhooks.choices import HoldReason
from webhooks.models import WebhookState


def held(now: datetime, path: str = "") -> Q:
    """Return the condition for it; `path` leads from the rows that are filtered to the WebhookState, such as `webhook__state__`."""
    ahead = Q((f"{path}hold_until__gt", now)) & ~Q((f"{path}hold_reason", HoldReason.RATE_LIMIT))
    return Q((f"{path}enabled", False)) | ahead


def is_held(state: WebhookState, now: datetime) -> bool:
    """Say it of a state."""
    return not state.enabled or bool(state.hold_until and state.hold_until > now and state.hold_reason != HoldReason.RATE_LIMIT)
