"""What follows from attempts beyond the delivery itself: log rows, disabled webhooks, operational events, metrics."""

from __future__ import annotations

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import transaction

from access import audit
from access.choices import AuditVerb
from core import metrics, redact
from core.bus import publish
from core.event_types import catalogue
from core.http.masking import Mask
from core.ids import uuid7
from webhooks.choices import DeliveryStatus, InactiveReason, Outcome, WebhookStatus
from webhooks.engine.standing import Standing
from webhooks.engine.types import Result, Target
from webhooks.models import Webhook, WebhookState

logger = logging.getLogger(__name__)
ATTEMPTS = "repoguard_delivery_attempts_total"
DELIVERIES = "repoguard_deliveries_total"
LATENCY = "repoguard_delivery_latency_seconds"
DURATION = "repoguard_attempt_duration_seconds"
# a shorter header (1, yes, prod) is no secret, and would blot out half an answer
_SHORTEST_SECRET = 6
_SHORT_ANSWER = 100


_STATUS = {Outcome.SUCCESS: DeliveryStatus.SUCCESS, Outcome.FAILED: DeliveryStatus.FAILED}


def delivery_changes(result: Result) -> dict[str, Any]:
    """Return the columns of the delivery row after an attempt; when it finished is known to the turn only."""
    row, verdict = result.claimed.row, result.verdict
    status = _STATUS.get(verdict.outcome, DeliveryStatus.PENDING)
    return {
        "status": status,
        "attempts": row.attempts + 1,
        "step": row.step + 1,
        "next_attempt_at": retry_at(result) if status is DeliveryStatus.PENDING else None,
        "last_status_code": result.answer.status,
        "last_error_class": verdict.error_class,
        "last_error": verdict.error[:500],
    }


def is_final(result: Result) -> bool:
    """Say whether the delivery ends with this attempt."""
    return result.verdict.outcome in _STATUS


def retry_at(result: Result) -> datetime | None:
    """Return when the next attempt of a delivery is due, counted from the end of this one."""
    delay = result.verdict.delay
    return None if delay is None else result.ended_at + timedelta(seconds=delay)


def attempt_values(result: Result) -> dict[str, Any]:
    """Return the columns of the attempt's row; those that stay empty are left out."""
    claimed, answer, verdict = result.claimed, result.answer, result.verdict
    row, timings = claimed.row, answer.timings
    values = {
        "id": uuid7(),
        "delivery_id": row.delivery_id,
        "webhook_id": claimed.target.webhook_id,
        "number": row.attempts + 1,
        "trigger": row.trigger,
        "outcome": verdict.outcome if verdict.confirmed else Outcome.ACCEPTED,
        "started_at": answer.started_at,
        "url": result.url[:2000] or shown_url(claimed.target.url),
        "address": answer.address[:60],
        "request_headers": result.request_headers,
        "status_code": answer.status,
        "response_headers": answer.headers,
        "response_body": _shown_body(claimed.target, answer.body) if answer.body else "",
        "response_truncated": answer.truncated,
        "error_class": verdict.error_class,
        "error": verdict.error[:500],
        "first_byte_ms": timings.first_byte_ms,
        "total_ms": timings.total_ms,
    }
    if claimed.target.template is not None:
        values["template_version"] = claimed.target.template.id
    if verdict.delay is not None:
        values["next_attempt_at"] = retry_at(result)
    if timings.connect_ms is not None:  # a new connection
        values |= {"dns_ms": timings.dns_ms, "connect_ms": timings.connect_ms, "tls_ms": timings.tls_ms}
    elif timings.dns_ms is not None:
        values["dns_ms"] = timings.dns_ms
    return values


def _shown_body(target: Target, body: bytes) -> str:
    text = body.decode("utf-8", "replace").replace("\x00", "\N{SYMBOL FOR NULL}")
    # services that repeat what they were sent would otherwise show the webhook's own secrets
    given = tuple(value for value in target.headers.values() if len(value) >= _SHORTEST_SECRET)
    text = _mask(given).known(text) if given else text
    return _short(text) if len(text) <= _SHORT_ANSWER else redact.body(text)


@lru_cache(maxsize=1024)
def _short(text: str) -> str:
    """Return a short answer as it may be shown: most receivers say the same few words every time."""
    return redact.body(text)


@lru_cache(maxsize=256)
def _mask(secrets: tuple[str, ...]) -> Mask:
    return Mask(secrets)


@lru_cache(maxsize=1024)
def shown_url(url: str) -> str:
    """Return a URL as logs may show it."""
    return redact.url(url)[:2000]


def apply(
    states: Mapping[uuid.UUID, WebhookState], standings: Mapping[uuid.UUID, Standing], results: Sequence[Result], now: datetime
) -> None:
    """Disable webhooks that are gone or failed for too long, and publish the operational events of a batch."""
    notable = [result for result in results if result.verdict.outcome is Outcome.FAILED and not _operational(result.claimed.row.event_type)]
    changed = {hook: standing for hook, standing in standings.items() if _is_news(standing)}
    if not notable and not changed:
        return
    concerned = set(changed) | {result.claimed.target.webhook_id for result in notable}
    hooks = Webhook.objects.defer("secrets", "headers").in_bulk(list(concerned))
    # deliveries of operational events cause no further ones: two failing webhooks that watch each other would go on for ever
    ordinary = {result.claimed.target.webhook_id for result in results if not _operational(result.claimed.row.event_type)}
    for webhook_id, standing in changed.items():
        _change(hooks[webhook_id], states[webhook_id], standing, now, tell=webhook_id in ordinary)
    for result in notable:
        _announce_failure(hooks[result.claimed.target.webhook_id], result)


def _is_news(standing: Standing) -> bool:
    return bool(standing.started_failing or standing.recovered or standing.disable)


def _change(hook: Webhook, state: WebhookState, standing: Standing, now: datetime, *, tell: bool) -> None:
    disabled = bool(standing.disable) and _disable(hook, state, InactiveReason(standing.disable), now)
    if not tell:
        return
    about = {"webhook_id": str(hook.id), "name": hook.name, "url": shown_url(hook.url)}
    if standing.started_failing:
        _publish("webhook.failing", hook, {**about, "consecutive_failures": state.consecutive_failures, "error": state.last_error})
    if standing.recovered:
        _publish("webhook.recovered", hook, about)
    if disabled:
        reason = InactiveReason(standing.disable)
        _publish("webhook.disabled", hook, {**about, "reason": reason.value, "explanation": str(reason.label), "error": state.last_error})


def _disable(hook: Webhook, state: WebhookState, reason: InactiveReason, now: datetime) -> bool:
    state.enabled = False
    disabled = Webhook.objects.filter(id=hook.id, status=WebhookStatus.ACTIVE).update(
        status=WebhookStatus.INACTIVE, inactive_reason=reason, status_changed_at=now, updated_at=now
    )
    if disabled:
        changes = {"status": [WebhookStatus.ACTIVE.value, WebhookStatus.INACTIVE.value], "inactive_reason": ["", reason.value]}
        audit.record(AuditVerb.ACTED, hook, changes=changes, action="disable", owner_id=hook.owner_id)
    return bool(disabled)


def _announce_failure(hook: Webhook, result: Result) -> None:
    claimed, verdict = result.claimed, result.verdict
    name = "delivery.exhausted" if verdict.exhausted else "delivery.failed"
    data = {
        "delivery_id": str(claimed.delivery_id),
        "webhook_id": str(hook.id),
        "event_id": str(claimed.row.event_id),
        "event_type": claimed.row.event_type,
        "attempts": claimed.row.attempts + 1,
        "status_code": result.answer.status,
        "error_class": verdict.error_class.value,
        "error": verdict.error,
    }
    _publish(name, hook, data)


def _publish(name: str, hook: Webhook, data: dict[str, Any]) -> None:
    try:
        with transaction.atomic():
            publish(name, data, owner_id=hook.owner_id)
    except Exception:  # news about deliveries must never keep an outcome from being recorded
        logger.exception("operational_event_failed", extra={"event_type": name, "webhook": str(hook.id)})


def _operational(event_type: str) -> bool:
    found = catalogue.find(event_type)
    return found is not None and found.operational


def counts(results: Sequence[Result]) -> metrics.Counts:
    """Return what a batch adds to the metrics."""
    if not results:
        return {}
    outcomes = Counter((result.verdict.outcome.value, result.verdict.error_class.value) for result in results)
    found: metrics.Counts = defaultdict(float)
    for (outcome, error_class), number in outcomes.items():
        found[ATTEMPTS, metrics.labels(outcome=outcome, error_class=error_class)] += number
        if outcome != Outcome.RETRY.value:
            found[DELIVERIES, metrics.labels(outcome=outcome)] += number
    done = (result for result in results if result.verdict.outcome is Outcome.SUCCESS)
    found |= metrics.histogram(LATENCY, {}, [result.ended_at.timestamp() - result.claimed.row.event_at for result in done])
    took = (result.answer.timings.total_ms for result in results)
    found |= metrics.histogram(
        DURATION, {}, [milliseconds / 1000 for milliseconds in took if milliseconds is not None], metrics.DURATION_BUCKETS
    )
    return found
