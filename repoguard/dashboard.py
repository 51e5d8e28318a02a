"""The dashboard: is all well, what failed, what to do next. A fixed number of statements; no log is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from access.admin_base import show
from access.models import ApiKey
from access.principals import Principal, principal
from access.selectors import visible
from core import metrics
from integrations.admin.health import standing
from integrations.choices import Condition
from integrations.health import report as integration_health
from integrations.models import IntegrationHealth, Repository
from integrations.services.repositories import may_register
from repoguard import health
from templates_app.models import IntegrationTemplate
from webhooks.admin.deliveries import TONES
from webhooks.admin.health import health as webhook_health
from webhooks.backlog import backlog
from webhooks.choices import DeliveryStatus
from webhooks.holds import held
from webhooks.models import InboundSource, Webhook, WebhookDelivery
from webhooks.selectors import deliveries, live_webhooks

LATEST = 1000
BARS = 48
TROUBLED_SHOWN = 8
FAILURES_SHOWN = 8
_ORDER = (DeliveryStatus.PENDING, DeliveryStatus.CANCELLED, DeliveryStatus.FAILED, DeliveryStatus.SUCCESS)


@dataclass(frozen=True)
class Chart:
    """The latest deliveries by outcome over time. `bars` hold (outcome, per cent of the tallest, number) from top to bottom."""

    bars: list[tuple[str, list[tuple[str, float, int]]]]
    totals: dict[str, int]
    since: datetime | None
    is_all: bool


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the dashboard shows to the context of the admin's index."""
    who = principal(request)
    if not request.user.has_perm("webhooks.view_webhook"):  # the pages' permissions come with the roles
        return context | {"portal_nothing": True}
    hooks = visible(live_webhooks(), who).select_related("state")
    # one statement each; sixty-odd bytes a row, and never more than LATEST rows
    any_hook, any_key = hooks.order_by().first(), visible(ApiKey.objects.all(), who).order_by().values_list("id", flat=True).first()
    chart = latest_outcomes(visible(WebhookDelivery.objects.all(), who))
    return context | {
        "who": who,
        "writes": who.may_write,
        "may_register": may_register(who),
        "report": health.examine() if who.sees_all else None,
        "waiting": backlog() if who.sees_all else None,
        "totals": _totals() if who.sees_all else None,
        "chart": chart,
        "legend": [(status.value, status.label, chart.totals[status.value]) for status in reversed(_ORDER)],
        "troubled": _troubled(hooks),
        "integrations": _integrations(who),
        "failures": _failures(who),
        "has_webhook": any_hook is not None,
        "has_key": any_key is not None,
        "has_delivery": chart.since is not None,
        "log_url": show.admin_url(WebhookDelivery, "changelist"),
        "links": {
            "add_webhook": show.admin_url(Webhook, "add"),
            "templates": show.admin_url(IntegrationTemplate, "changelist"),
            "add_key": show.admin_url(ApiKey, "add"),
            "add_source": show.admin_url(InboundSource, "add"),
            "webhooks": show.admin_url(Webhook, "changelist"),
            "repositories": show.admin_url(Repository, "changelist"),
        },
    }


def latest_outcomes(rows: QuerySet[WebhookDelivery]) -> Chart:
    """Return the outcomes of the newest LATEST rows in BARS equal spans of time."""
    latest = list(rows.order_by("-id").values_list("created_at", "status")[:LATEST])
    totals = dict.fromkeys(DeliveryStatus.values, 0) | Counter(status for _, status in latest)
    if not latest:
        return Chart([], totals, None, is_all=True)
    now = timezone.now()
    since = min(created for created, _ in latest)
    span = max((now - since) / BARS, timedelta(seconds=1))
    start = since
    bins: list[Counter[str]] = [Counter() for _ in range(BARS)]
    for created, status in latest:
        bins[min(BARS - 1, max(0, int((created - start) / span)))][status] += 1
    tallest = max(sum(counts.values()) for counts in bins)
    bars = []
    for place, counts in enumerate(bins):
        title = f"{(start + span * place):%Y-%m-%d %H:%M} UTC: {sum(counts.values())}"
        bars.append(
            (title, [(status.value, round(100 * counts[status] / tallest, 2), counts[status]) for status in _ORDER if counts[status]])
        )
    return Chart(bars, totals, since, is_all=len(latest) < LATEST)


def _totals() -> dict[str, int]:
    """Return how many deliveries succeeded and failed since the portal was installed: kept counters."""
    name = "repoguard_deliveries_total"
    values = {labels: int(value) for counter, labels, value in metrics.totals() if counter == name}
    return {outcome: values.get(metrics.labels(outcome=outcome), 0) for outcome in ("success", "failed")}


def _troubled(hooks: QuerySet[Webhook]) -> list[dict[str, Any]]:
    rows = hooks.filter(Q(state__failing_since__isnull=False) | held(timezone.now(), "state__")).order_by("state__enabled", "-id")
    found = [(hook, webhook_health(hook, hook.state)) for hook in rows[:TROUBLED_SHOWN]]
    return [{"hook": hook, "health": seen, "url": show.admin_url(Webhook, "change", hook.pk)} for hook, seen in found]


def _integrations(who: Principal) -> dict[str, Any] | None:
    """Return how many integrations stand how, and those that need somebody; None where there is none."""
    counts = integration_health.conditions(who)
    if not counts:
        return None
    found = [(row, standing(row)) for row in integration_health.troubled(who, TROUBLED_SHOWN)]
    return {
        "counts": _sentence(counts),
        "checks_fail": counts[Condition.CHECKS_FAIL] + counts[Condition.NEVER_WORKED],
        "url": show.admin_url(IntegrationHealth, "changelist"),
        "troubled": [
            {
                "row": row,
                "health": seen,
                "since": integration_health.since(row),
                "url": show.admin_url(IntegrationHealth, "change", row.pk),
            }
            for row, seen in found
        ],
    }


def _sentence(counts: Counter[Condition]) -> str:
    """Return how many are in which condition, in the words that the rows below use; what there is none of is left out but for two."""
    numbers = (
        ("healthy", counts[Condition.HEALTHY], True),
        ("slow", counts[Condition.SLOW], False),
        ("with a failing check", counts[Condition.CHECKS_FAIL] + counts[Condition.NEVER_WORKED], False),
        ("with failing calls", counts[Condition.CALLS_FAIL], False),
        ("unhealthy", counts[Condition.UNHEALTHY], True),
        ("not checked", counts[Condition.UNKNOWN], False),
    )
    return ", ".join(f"{number} {word}" for word, number, always in numbers if number or always)


def _failures(who: Principal) -> list[dict[str, Any]]:
    rows = visible(deliveries().filter(status=DeliveryStatus.FAILED), who).order_by("-id")[:FAILURES_SHOWN]
    return [{"row": row, "url": show.admin_url(WebhookDelivery, "change", row.pk), "tone": TONES["failed"]} for row in rows]
