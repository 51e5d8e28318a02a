"""What the admin shows of an integration, in lists and to those who only read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from access.admin_base import show
from core.errors import InvalidInput
from core.http import limits
from core.models.outbound import CallOutcome, CircuitState
from integrations.admin.health import Standing, standing
from integrations.choices import Category, Condition, Criticality, Environment, Status
from integrations.models import Integration
from integrations.registry import find
from integrations.selectors.integrations import credentials_set

OUTCOME_TONES = {
    CallOutcome.SUCCESS: show.GOOD,
    CallOutcome.NOT_MODIFIED: show.GOOD,
    CallOutcome.CACHED: show.INFO,
    CallOutcome.STALE: show.WARN,
    CallOutcome.UNEXPECTED: show.BAD,
    CallOutcome.FAILED: show.BAD,
    CallOutcome.REFUSED: show.WARN,
}
OUTCOME_WORDS = {CallOutcome.NOT_MODIFIED: "not modified", CallOutcome.CACHED: "from the cache", CallOutcome.STALE: "older answer"}


def outcome_badge(outcome: str) -> SafeString:
    """Return how a call ended as a badge."""
    found = CallOutcome(outcome)
    return show.badge(OUTCOME_WORDS.get(found, found.value), OUTCOME_TONES[found], found.label)


def type_title(key: str) -> str:
    """Return the title of a connector, or its key where there is none any more."""
    try:
        return find(key).title
    except InvalidInput:
        return f"{key} (removed)"


def bar(used: int, limit: int) -> SafeString:
    """Return how much of a limit is used, as a bar with its numbers."""
    share = 100 if not limit else min(100, round(100 * used / limit))
    tone = show.BAD if share >= 100 else show.WARN if share >= 80 else show.GOOD
    return format_html(
        '<span class="rg-quota" title="{} of {} calls"><i class="rg-{}" style="width:{}%"></i></span> '
        '<small class="rg-nowrap">{} / {}</small>',
        f"{used:,}", f"{limit:,}", tone, share, f"{used:,}", f"{limit:,}",
    )  # fmt: skip


class IntegrationColumns:
    """Columns of the list, and the rows of the page for readers."""

    @admin.display(description="state")
    def shown_state(self, integration: Integration) -> SafeString:
        """Return its health and, where it is not closed, its breaker."""
        health = getattr(integration, "health", None)
        badges, is_open = [], integration.circuit_state != CircuitState.CLOSED  # type: ignore[attr-defined]  # annotated
        said = False
        if integration.status != Status.ACTIVE:
            badges.append(show.badge("inactive", show.QUIET, "Switched off: nothing is called or checked."))
        elif health is not None:
            found = standing(health, circuit_open=is_open)
            said = found.word == Condition.CALLS_FAIL.label
            if found.tone in (show.GOOD, show.INFO) and getattr(integration, "last_call_outcome", None) == CallOutcome.FAILED:
                found = Standing("last call failed", show.WARN, f"{found.sentence} But the last call failed.")
            badges.append(show.badge(found.word, found.tone, found.sentence))
        else:
            badges.append(show.badge("not checked yet", show.INFO))
        if is_open and not said:
            badges.append(show.badge("breaker open", show.BAD, "It failed repeatedly, so calls are refused until a probe goes through."))
        return format_html_join(" ", "{}", ((badge,) for badge in badges))

    @admin.display(description="connector")
    def shown_type(self, integration: Integration) -> str:
        """Return the title of its connector."""
        return type_title(integration.type)

    @admin.display(description="quota")
    def shown_quota(self, integration: Integration) -> SafeString:
        """Return what is used in the present window."""
        limit: int | None = integration.quota_limit
        if not limit:
            return show.NOTHING
        start = limits.window_start(timezone.now(), integration.quota_window_seconds)
        used = integration.quota_used if integration.quota_window_start == start else 0  # type: ignore[attr-defined]  # annotated
        return bar(used, limit)

    @admin.display(description="last call")
    def shown_last_call(self, integration: Integration) -> SafeString:
        """Return when it last called, and how that ended."""
        at, outcome = integration.last_call_at, integration.last_call_outcome  # type: ignore[attr-defined]  # annotated
        return format_html("{} {}", outcome_badge(outcome), show.moment(at)) if at else show.NOTHING

    @admin.display(description="environment")
    def shown_environment(self, integration: Integration) -> str:
        """Return the environment."""
        return str(Environment(integration.environment).label)

    @admin.display(description="category")
    def shown_category(self, integration: Integration) -> str:
        """Return the category."""
        return str(Category(integration.category).label)

    @admin.display(description="criticality")
    def shown_criticality(self, integration: Integration) -> str:
        """Return how much depends on it."""
        return str(Criticality(integration.criticality).label)

    @admin.display(description="owner")
    def shown_owner(self, integration: Integration) -> str:
        """Return whose it is."""
        return str(integration.owner) if integration.owner else "the admins"

    @admin.display(description="configuration")
    def shown_config(self, integration: Integration) -> SafeString:
        """Return the configuration."""
        return show.block(show.pretty(integration.config))

    @admin.display(description="credentials")
    def shown_credentials(self, integration: Integration) -> Any:
        """Return which are set, never what they are."""
        found = credentials_set(integration)
        if found is None:
            return "They can't be decrypted with the present FERNET_KEYS; add the key they were stored with."
        if not found:
            return "none are needed"
        return show.codes(f"{name}: {'set' if present else 'not set'}" for name, present in found.items())

    @admin.display(description="notes")
    def shown_metadata(self, integration: Integration) -> SafeString:
        """Return the notes."""
        return show.block(show.pretty(integration.metadata)) if integration.metadata else show.NOTHING

    @admin.display(description="limits")
    def shown_limits(self, integration: Integration) -> str:
        """Return quota, rate and timeout in words."""
        quota = (
            f"{integration.quota_limit:,} calls in {show.duration(integration.quota_window_seconds)}"
            if integration.quota_limit
            else "no quota"
        )
        rate = f"{integration.rate_per_minute:,} a minute" if integration.rate_per_minute else "no rate limit"
        return f"{quota}; {rate}; timeout {integration.timeout_seconds} s"

    @admin.display(description="SLA targets")
    def shown_targets(self, integration: Integration) -> str:
        """Return the targets in words."""
        parts = []
        if integration.sla_availability is not None:
            parts.append(f"{integration.sla_availability:g} % available")
        if integration.sla_response_ms is not None:
            parts.append(f"95 of 100 checks within {integration.sla_response_ms} ms")
        return ", ".join(parts) or "none"
