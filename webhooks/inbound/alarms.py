"""Looks at inbound sources regularly: announces those that fell silent or speak again, and bursts of failed signatures."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core import bus
from core.fields import JSONValue
from core.housekeeping import Batch, Step
from core.ids import first_id_at
from webhooks.choices import Verdict
from webhooks.inbound.backfill_start import request_by_itself
from webhooks.inbound.selectors import live_sources, of_verdict
from webhooks.inbound.silence import is_silent
from webhooks.models import InboundSource, Receipt

FAILURES, FAILURE_WINDOW = 10, timedelta(minutes=10)
"""So many refused requests within that time are a burst."""
FAILURE_PAUSE = timedelta(hours=1)
"""A burst that goes on is announced again after so long."""
_AT_ONCE = 200


def watch_sources(batch: Batch) -> Step:
    """Announce what changed about the next few sources."""
    page = live_sources().filter(active=True).order_by("id")
    rows = list((page.filter(id__gt=batch.cursor) if batch.cursor else page)[:_AT_ONCE])
    now = timezone.now()
    changed = 0 if batch.dry_run else sum(_watch_silence(source, now) + _watch_failures(source, now) for source in rows)
    return Step(changed, str(rows[-1].pk) if len(rows) == _AT_ONCE else "")


def _watch_silence(source: InboundSource, now: datetime) -> int:
    accepted = of_verdict(Receipt.objects.filter(source_id=source.pk), Verdict.ACCEPTED)
    times = accepted.order_by("-id").values_list("received_at", flat=True)
    last, first = times.first(), times.last()

    def count(since: datetime, until: datetime, limit: int) -> int:
        ids = accepted.filter(id__gte=first_id_at(since), id__lt=first_id_at(until)).values_list("id", flat=True)
        return len(ids[:limit])

    silent = is_silent(now, first, last, source.silence_seconds, count)
    if silent and source.silent_since is None:
        return _announce(
            source, "inbound.source_silent", {"silent_since": last}, Q(silent_since__isnull=True), last_received_at=_text(last)
        )
    if not silent and source.silent_since is not None:
        seconds = int(((last or now) - source.silent_since).total_seconds())
        back = Q(silent_since=source.silent_since)
        told = _announce(source, "inbound.source_recovered", {"silent_since": None}, back, silent_seconds=max(0, seconds))
        if told:
            request_by_itself(source, source.silent_since)  # what it missed meanwhile
        return told
    return 0


def _watch_failures(source: InboundSource, now: datetime) -> int:
    recent = Receipt.objects.filter(source_id=source.pk, verdict=Verdict.REFUSED, id__gte=first_id_at(now - FAILURE_WINDOW))
    reasons = list(recent.order_by("-id").values_list("reason", flat=True)[: 10 * FAILURES])
    if len(reasons) < FAILURES:
        return 0
    quiet = Q(failures_announced_at__isnull=True) | Q(failures_announced_at__lt=now - FAILURE_PAUSE)
    minutes = int(FAILURE_WINDOW.total_seconds() // 60)
    data: dict[str, JSONValue] = {"count": len(reasons), "minutes": minutes, "reason": reasons[0]}
    return _announce(source, "inbound.signature_failures", {"failures_announced_at": now}, quiet, **data)


def _announce(source: InboundSource, event: str, values: dict[str, datetime | None], still: Q, **data: JSONValue) -> int:
    """Note an alarm and publish it, both or neither; 0 when another process did at this moment."""
    with transaction.atomic():
        # updated_at stays: it tells the receive path of changes by people
        if not InboundSource.objects.filter(still, pk=source.pk).update(**values):
            return 0
        about: dict[str, JSONValue] = {"source_id": str(source.pk), "name": source.name, "provider": source.provider}
        bus.publish(event, about | data, owner_id=source.owner_id)
    return 1


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
