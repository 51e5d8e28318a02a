"""Reading webhooks and deliveries. Nothing here counts finished deliveries: their numbers are kept in WebhookState."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import (
    BinaryField,
    BooleanField,
    Case,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    Min,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from core.event_types import patterns_for
from core.fields import DecryptError
from webhooks.backlog import not_due_yet
from webhooks.engine.due import oldest_waiting
from webhooks.holds import held, is_held
from webhooks.models import (
    DeliveryAttempt,
    DigestEntry,
    DueHint,
    FollowUp,
    Lease,
    Subscription,
    Webhook,
    WebhookDelivery,
    WebhookRepository,
    WebhookState,
)
from webhooks.models.delivery import PENDING

ATTEMPTS_SHOWN = 100


@dataclass(frozen=True)
class WebhookStats:
    """How a webhook stands. `pending` is without the `parked`: deliveries that are due but wait for a hold or for enabling."""

    pending: int
    parked: int
    in_flight: int
    success: int
    failed: int
    cancelled: int
    oldest_pending_at: datetime | None
    oldest_parked_at: datetime | None
    enabled: bool
    hold_until: datetime | None
    hold_reason: str
    breaker: str
    consecutive_failures: int
    failing_since: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error: str


def stats(webhook_id: uuid.UUID) -> WebhookStats:
    """Return the numbers of a webhook at constant cost, however many deliveries it has had.

    Of a held webhook's later retries no more than backlog.LATER_COUNTED are counted; the rest is shown as parked.
    """
    now = timezone.now()
    # hints before the state: a fold in between then counts a delivery twice for a moment rather than not at all
    unfolded = DueHint.objects.filter(webhook_id=webhook_id).aggregate(total=Sum("count"))["total"] or 0
    state = WebhookState.objects.get(webhook_id=webhook_id)
    waiting = max(0, state.pending_count + unfolded)
    in_flight = Lease.objects.filter(webhook_id=webhook_id).count()
    parked, oldest = 0, oldest_waiting(webhook_id)
    if is_held(state, now):
        parked = max(0, waiting - not_due_yet(Q(webhook_id=webhook_id), now) - in_flight)
    hold_ended = state.hold_until is None or state.hold_until <= now
    return WebhookStats(
        pending=waiting - parked,
        parked=parked,
        in_flight=in_flight,
        success=state.success_count,
        failed=state.failed_count,
        cancelled=state.cancelled_count,
        oldest_pending_at=None if parked else oldest,
        oldest_parked_at=oldest if parked else None,
        enabled=state.enabled,
        hold_until=None if hold_ended else state.hold_until,
        hold_reason="" if hold_ended else state.hold_reason,
        breaker=state.breaker,
        consecutive_failures=state.consecutive_failures,
        failing_since=state.failing_since,
        last_success_at=state.last_success_at,
        last_failure_at=state.last_failure_at,
        last_error=state.last_error,
    )


def live_webhooks() -> QuerySet[Webhook]:
    """Return the webhooks that were not deleted, with owners, integrations and repositories, without any secrets and headers."""
    scope = Prefetch("webhookrepository_set", WebhookRepository.objects.order_by("repository_id"))
    sealed = ("secrets", "headers", "integration__credentials", "integration__previous_credentials")
    rows = Webhook.objects.filter(deleted_at__isnull=True).select_related("owner__user", "owner__team", "integration")
    return rows.defer(*sealed).prefetch_related(scope)


def shown_webhooks() -> QuerySet[Webhook]:
    """Return live_webhooks() with what is collected, and what shown_headers() reads: one that can't be decrypted must not hide others."""
    return collecting(live_webhooks()).annotate(sealed_headers=ExpressionWrapper(F("headers"), output_field=BinaryField()))


def collecting(webhooks: QuerySet[Webhook]) -> QuerySet[Webhook]:
    """Return webhooks with how many events wait for their digests, and when the first of those is over or looked at."""
    entries = DigestEntry.objects.filter(webhook_id=OuterRef("pk")).order_by().values("webhook_id")
    count, due_at = entries.annotate(number=Count("id")).values("number"), entries.annotate(at=Min("due_at")).values("at")
    return webhooks.annotate(digest_waiting=Coalesce(Subquery(count), 0), digest_due_at=Subquery(due_at))


def shown_headers(webhook: Webhook) -> dict[str, str] | None:
    """Return the headers of one of shown_webhooks(): {} for none, None where FERNET_KEYS lacks their key."""
    field = Webhook._meta.get_field("headers")
    try:
        return field.from_db_value(webhook.sealed_headers, None, connection) or {}  # type: ignore[attr-defined]
    except DecryptError:
        return None


def receiving(webhooks: QuerySet[Webhook], event_type: str) -> QuerySet[Webhook]:
    """Return those of `webhooks` that are subscribed to `event_type`, by name or wildcard."""
    return webhooks.filter(Exists(Subscription.objects.filter(webhook=OuterRef("pk"), pattern__in=patterns_for(event_type))))


def deliveries() -> QuerySet[WebhookDelivery]:
    """Return deliveries with their webhook's name and with `parked`, in one statement a page."""
    now = timezone.now()
    leased = Exists(Lease.objects.filter(delivery_id=OuterRef("pk")))
    due = PENDING & Q(next_attempt_at__lte=now)
    parked = Case(When(due & held(now, "webhook__state__") & ~leased, then=Value(True)), default=Value(False), output_field=BooleanField())
    return WebhookDelivery.objects.annotate(webhook_name=F("webhook__name"), parked=parked, in_flight=leased)


def latest_attempts(delivery: WebhookDelivery) -> list[DeliveryAttempt]:
    """Return the last ATTEMPTS_SHOWN attempts of a delivery, oldest first."""
    return list(DeliveryAttempt.objects.filter(delivery=delivery).order_by("-id")[:ATTEMPTS_SHOWN])[::-1]


def follow_up(delivery: WebhookDelivery) -> FollowUp | None:
    """Return what a delivery started elsewhere, None for nothing."""
    return FollowUp.objects.filter(delivery_id=delivery.id).first()
