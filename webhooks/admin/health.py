"""How a webhook stands, in a badge and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from webhooks.choices import HoldReason, InactiveReason
from webhooks.holds import is_held
from webhooks.models import Webhook, WebhookState


@dataclass(frozen=True)
class Health:
    """A word, its tone, and what there is to say about it."""

    word: str
    tone: str
    sentence: str
    until: datetime | None = None


def health(webhook: Webhook, state: WebhookState) -> Health:
    """Return how a webhook stands now."""
    now = timezone.now()
    if not state.enabled:
        reason = InactiveReason(webhook.inactive_reason).label if webhook.inactive_reason else "switched off"
        return Health("disabled", show.BAD, f"{str(reason).capitalize()}. Its deliveries are parked, and leave when it is enabled again.")
    if is_held(state, now):
        why = str(HoldReason(state.hold_reason).label)
        sentence = f"{why[:1].upper()}{why[1:]}. Due deliveries wait until then; press Enable to try at once."
        return Health("held", show.WARN, sentence, state.hold_until)
    if state.failing_since:
        times = f"{state.consecutive_failures} failures in a row" if state.consecutive_failures else "failing"
        return Health("failing", show.BAD, f"{times.capitalize()}. Last error: {state.last_error or 'not recorded'}")
    if not state.last_success_at:
        return Health("untried", show.INFO, "Nothing has been delivered yet. Press “Send test” to see whether the endpoint answers.")
    return Health("healthy", show.GOOD, "The last delivery succeeded.")


def health_badge(webhook: Webhook, state: WebhookState) -> SafeString:
    """Return the word as a badge, with until when it holds."""
    found = health(webhook, state)
    mark = show.badge(found.word, found.tone, found.sentence)
    return format_html("{} {}", mark, show.moment(found.until)) if found.until else mark
