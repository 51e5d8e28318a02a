"""Silent sources, bursts of failures, retention and what deleted sources leave."""

from __future__ import annotations

import bisect
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from core import runtime
from core.event_types import catalogue, patterns_for
from core.housekeeping import Batch, run_now
from core.ids import first_id_at
from core.models import Event, RuntimeSettings
from tests.webhooks.inbound_kit import send, source, work_off
from tests.webhooks.inbound_kit import sender as sender
from webhooks.inbound import pruning
from webhooks.inbound.alarms import FAILURES, watch_sources
from webhooks.inbound.keeping import seal
from webhooks.inbound.silence import is_silent
from webhooks.models import InboundSource, Receipt, ReceiptPart

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    runtime.forget()
    yield
    runtime.forget()


def office_traffic(weeks: int, per_hour: float, seed: int = 1) -> list[datetime]:
    """Return random times from nine to six on the weekdays of so many weeks."""
    rng, found = random.Random(seed), []
    for day in (day for day in range(weeks * 7) if day % 7 < 5):
        hour = 9 + rng.expovariate(per_hour)
        while hour < 18:
            found.append(MONDAY + timedelta(days=day, hours=hour))
            hour += rng.expovariate(per_hour)
    return found


def alarms(times: list[datetime], since: datetime, until: datetime, threshold: int | None = None) -> list[datetime]:
    """Return the half hours at which the source counts as silent."""

    def count(start: datetime, end: datetime, limit: int) -> int:
        return min(limit, bisect.bisect_left(times, end) - bisect.bisect_left(times, start))

    found, now = [], since
    while now < until:
        seen = bisect.bisect_left(times, now)
        first, last = (times[0], times[seen - 1]) if seen else (None, None)
        if is_silent(now, first, last, threshold, count):
            found.append(now)
        now += HOUR / 2
    return found


@pytest.mark.parametrize("seed", range(5))
def test_weekday_traffic_raises_no_alarm_at_night_or_over_the_weekend(seed: int) -> None:
    times = office_traffic(6, per_hour=6, seed=seed)
    assert alarms(times, MONDAY, times[-1] + timedelta(days=2, hours=14)) == []


def test_a_weekday_without_traffic_is_noticed_within_hours() -> None:
    monday = MONDAY + timedelta(weeks=5)
    times = [moment for moment in office_traffic(5, per_hour=6) if moment < monday]
    found = alarms(times, monday - timedelta(days=2), monday + timedelta(days=1))
    assert monday + 9 * HOUR < found[0] <= monday + 13 * HOUR


def test_traffic_that_breaks_off_at_noon_is_noticed_in_the_afternoon() -> None:
    wednesday = MONDAY + timedelta(weeks=4, days=2)
    times = [moment for moment in office_traffic(5, per_hour=10) if moment < wednesday + 12 * HOUR]
    found = alarms(times, wednesday, wednesday + timedelta(days=1))
    assert wednesday + 12 * HOUR < found[0] <= wednesday + 15 * HOUR


def test_a_new_source_is_not_judged_by_what_it_never_did() -> None:
    times = [moment for moment in office_traffic(1, per_hour=10) if moment < MONDAY + 36 * HOUR]
    assert alarms(times, MONDAY, MONDAY + timedelta(weeks=2)) == []
    assert alarms([], MONDAY, MONDAY + timedelta(weeks=1), threshold=60) == []


def test_rare_traffic_raises_no_alarm() -> None:
    times = [MONDAY + timedelta(days=day, hours=random.Random(day).uniform(0, 24)) for day in range(0, 60, 3)]
    assert alarms(times, MONDAY, times[-1]) == []


def test_a_declared_threshold_holds_and_zero_is_never() -> None:
    assert alarms([MONDAY], MONDAY, MONDAY + 5 * HOUR, threshold=3 * 3600)[0] == MONDAY + 3 * HOUR
    assert alarms([MONDAY], MONDAY, MONDAY + 500 * HOUR, threshold=0) == []


@pytest.mark.django_db
def test_a_silent_source_is_announced_once_and_so_is_its_return() -> None:
    to = source(silence_seconds=3600)
    send(to)
    work_off()
    watch_sources(Batch())
    old = timezone.now() - 2 * HOUR
    Receipt.objects.update(received_at=old)
    for _ in range(3):
        watch_sources(Batch())
    send(to)
    for _ in range(3):
        watch_sources(Batch())
    said = [(event.type, event.payload) for event in Event.objects.filter(type__startswith="inbound.source").order_by("id")]
    assert [kind for kind, _ in said] == ["inbound.source_silent", "inbound.source_recovered"]
    assert said[0][1] == {"source_id": str(to.pk), "name": "main", "provider": "sender", "last_received_at": old.isoformat()}
    assert 7000 < said[1][1]["silent_seconds"] < 7400


@pytest.mark.django_db
def test_a_burst_of_failures_is_announced_once_an_hour() -> None:
    to = source()
    for _ in range(FAILURES - 1):
        send(to, secret="wrong")
    watch_sources(Batch())
    assert not Event.objects.exists()
    send(to, secret="wrong")
    watch_sources(Batch())
    watch_sources(Batch())
    event = Event.objects.get()
    assert (event.type, event.payload["count"]) == ("inbound.signature_failures", FAILURES)
    InboundSource.objects.update(failures_announced_at=timezone.now() - 2 * HOUR)
    watch_sources(Batch())
    assert Event.objects.count() == 2


def test_alarms_are_operational_and_other_inbound_events_are_not() -> None:
    for name in ("inbound.source_silent", "inbound.source_recovered", "inbound.signature_failures"):
        assert patterns_for(name) == [name]
    kind = catalogue.find("inbound.sender.thing")
    assert kind is not None
    assert not kind.operational


def aged(to: InboundSource, days: int, parts: int = 0, **more: Any) -> Receipt:
    key = uuid.UUID(int=first_id_at(timezone.now() - timedelta(days=days)).int | uuid.uuid4().int & (1 << 60) - 1)
    values = {"verdict": "accepted", "state": "done", "result": "processed", "received_at": timezone.now(), "sealed": seal({}, {}, b"")}
    row = Receipt.objects.create(id=key, source=to, parts=parts, **values | more)
    for number in range(parts):
        ReceiptPart.objects.create(receipt=row, number=number, data=b"x")
    return row


@pytest.mark.django_db
def test_receipts_are_pruned_by_the_setting_in_batches_and_waiting_ones_stay() -> None:
    RuntimeSettings.objects.create(pk=1, receipt_retention_days=10)
    to = source()
    kept = [aged(to, 9), aged(to, 11, state="queued", result="waiting")]
    for _ in range(3):
        aged(to, 11, parts=2)
    rows, cursor = [], ""
    while True:
        step = pruning.prune_receipts(Batch(limit=2, cursor=cursor))
        rows.append(step.rows)
        cursor = step.cursor
        if not cursor:
            break
    assert {row.id for row in Receipt.objects.all()} == {row.id for row in kept}
    assert not ReceiptPart.objects.exists()
    assert max(rows) <= 4


@pytest.mark.django_db
def test_a_deleted_source_goes_with_its_receipts_after_an_hour() -> None:
    to, other = source(deleted_at=timezone.now() - 2 * HOUR), source(deleted_at=timezone.now())
    for _ in range(3):
        aged(to, 1, parts=1)
    aged(other, 1)
    job = next(job for job in pruning.JOBS if job.name == "webhooks.inbound_deleted")
    assert run_now(job) == 7
    assert list(InboundSource.objects.all()) == [other]
    assert Receipt.objects.count() == 1
