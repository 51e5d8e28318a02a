"""What stands above an integration's form: its health, its breaker, its limits, its credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString

from access.admin_base import show
from access.principals import Principal
from core import runtime
from core.http import breaker, pauses
from core.models.outbound import CircuitState
from integrations.admin.health import Standing, standing
from integrations.admin.integration_columns import bar
from integrations.admin.uses import uses_of
from integrations.choices import Condition, Status
from integrations.models import Integration, IntegrationHealth
from integrations.oauth.buttons import sign_in_panel
from integrations.selectors.integrations import Window, credentials_set, quota_of


@dataclass(frozen=True)
class Notice:
    """A box with a strong word and a sentence; `until` is when it ends."""

    tone: str
    word: str
    sentence: str
    until: datetime | None = None


def panel(integration: Integration, log: str, who: Principal) -> dict[str, Any]:
    """Return what portal/integration_panel.html shows."""
    quota, state = quota_of(integration), breaker.state(integration.pk)
    health = getattr(integration, "health", None)
    return {
        "notices": [notice for notice in (_health(integration, state), _breaker(integration, state), *_credentials(integration)) if notice],
        "sign_in": sign_in_panel(integration),
        "log": log,
        "uses": uses_of(integration, who),
        "health_url": show.admin_url(IntegrationHealth, "change", health.pk) if health else "",
        "quota": _bar(quota.quota),
        "quota_window": quota.quota,
        "rate": _bar(quota.rate),
        "rate_window": quota.rate,
    }


def _bar(window: Window) -> SafeString | None:
    return bar(window.used, window.limit) if window.limit else None


def _health(integration: Integration, state: breaker.BreakerState) -> Notice | None:
    health = getattr(integration, "health", None)
    if health is None:
        found = Standing("not checked yet", show.INFO, "Press “Test connection” to see whether it works.")
    else:
        found = standing(health, circuit_open=state.state != CircuitState.CLOSED)
    if found.word == Condition.CALLS_FAIL.label:
        return None  # the breaker's notice says it, and more
    if found.tone in (show.GOOD, show.INFO) and state.failures:
        word = "not checked yet, but calls fail" if found.tone == show.INFO else "checks succeed, but calls fail"
        number = f"The last {state.failures} calls" if state.failures > 1 else "The last call"
        return Notice(show.WARN, word, f"{number} failed. {state.last_error}".strip())
    return Notice(found.tone, found.word, found.sentence)


def _breaker(integration: Integration, state: breaker.BreakerState) -> Notice | None:
    if state.state != CircuitState.CLOSED:
        last = f" Last failure: {state.last_error}" if state.last_error else ""
        held = state.hold_until is not None and state.hold_until > timezone.now()
        next_ = (
            "When the hold ends, one call is let through to see." if held else "The next call is let through to see whether it works again."
        )
        sentence = f"It failed {state.failures} times in a row, so calls are refused.{last} {next_}"
        return Notice(show.BAD, "calls failing: the breaker is open", sentence, state.hold_until if held else None)
    if paused := pauses.remaining(integration.pk):
        until = timezone.now() + timedelta(seconds=paused)
        return Notice(show.WARN, "paused", "The service asked not to be called for a while (429 or Retry-After).", until)
    return None


def _credentials(integration: Integration) -> list[Notice]:
    now, notices = timezone.now(), []
    if credentials_set(integration) is None:
        sentence = "They can't be decrypted with the present FERNET_KEYS. Add the key they were stored with, or enter them again."
        notices.append(Notice(show.BAD, "credentials unreadable", sentence))
    if integration.previous_until and integration.previous_until > now:
        sentence = "The credentials were changed; the old ones are kept, and whoever may change them can restore them."
        notices.append(Notice(show.INFO, "old credentials kept", sentence, integration.previous_until))
    ends = integration.credentials_expire_at
    if ends and ends <= now + timedelta(days=runtime.current().credentials_warning_days) and integration.status == Status.ACTIVE:
        word = "credentials have ended" if ends <= now else "credentials end soon"
        notices.append(Notice(show.BAD if ends <= now else show.WARN, word, "Get new ones from the service and rotate them.", ends))
    return notices
