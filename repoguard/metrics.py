"""/metrics for Prometheus. Everything is read from the database, so it is the same from every process and machine."""

from __future__ import annotations

import platform
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import Error, connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from access.addresses import client_address, parse_address
from core import canary, leases, metrics, queue, work_registry
from core.api.errors import Problem
from core.heartbeats import WORKER_KIND
from core.http import breaker, calllog
from core.models import Worker
from core.models.outbound import CallOutcome, CallPurpose
from core.models.work import WorkState
from repoguard import __version__
from repoguard.metrics_feeds import feed_metrics
from repoguard.metrics_integrations import integration_metrics
from webhooks.backlog import backlog, webhooks_by_status
from webhooks.choices import DeliveryStatus
from webhooks.engine.store import WORKER_KIND as DRAIN_KIND

Totals = dict[str, dict[str, float]]
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_FORWARDING_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-Ip")


@dataclass(frozen=True)
class Counter:
    """A counter as it is shown; `always` are labels that are shown as 0 before the first count."""

    name: str
    help: str
    always: tuple[dict[str, str], ...] = ()


COUNTERS = (
    Counter(
        "repoguard_deliveries_total",
        "Deliveries finished, by outcome.",
        tuple({"outcome": outcome.value} for outcome in (DeliveryStatus.SUCCESS, DeliveryStatus.FAILED, DeliveryStatus.CANCELLED)),
    ),
    Counter("repoguard_delivery_attempts_total", "Delivery attempts, by outcome and error class."),
    Counter(
        calllog.CALLS,
        "Calls of integrations, each try of its own, by outcome and purpose.",
        tuple({"outcome": outcome.value, "purpose": CallPurpose.OTHER.value} for outcome in CallOutcome),
    ),
)
HISTOGRAMS = (
    ("repoguard_delivery_latency_seconds", "From the event's time to the delivery's success.", metrics.LATENCY_BUCKETS),
    ("repoguard_attempt_duration_seconds", "How long one request to an endpoint took.", metrics.DURATION_BUCKETS),
    (calllog.DURATION, "How long one call of an integration took.", metrics.DURATION_BUCKETS),
)


class DatabaseCollector(Collector):
    """Reads all metrics when it is asked: a fixed number of statements, none of which counts a log."""

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        totals = _stored_totals()
        yield from (_counter(counter, totals) for counter in COUNTERS)
        yield from (_histogram(name, help_text, buckets, totals) for name, help_text, buckets in HISTOGRAMS)
        yield from _waiting()
        yield _gauge("repoguard_breakers", "Circuit breakers that are not closed, by state.", "state", breaker.not_closed())
        yield _gauge("repoguard_webhooks", "Webhooks, by status.", "status", webhooks_by_status())
        yield _gauge("repoguard_workers_live", "Workers with a fresh heartbeat, by kind.", "kind", _live_workers())
        yield _gauge("repoguard_queue_messages", "Messages in a cluster's queue.", "cluster", queue.backlog())
        yield _work_rows()
        yield from integration_metrics()
        yield from feed_metrics()
        yield _build_info()


def _stored_totals() -> Totals:
    totals: Totals = defaultdict(dict)
    for name, label_text, value in metrics.totals():
        totals[name][label_text] = value
    return totals


def _counter(counter: Counter, totals: Totals) -> Metric:
    values = {metrics.labels(**labels): 0.0 for labels in counter.always} | totals.get(counter.name, {})
    family = CounterMetricFamily(counter.name, counter.help)
    for label_text, value in sorted(values.items()):
        family.add_sample(counter.name, parse_labels(label_text), value)
    return family


def _histogram(name: str, help_text: str, buckets: tuple[float, ...], totals: Totals) -> Metric:
    """Add the stored buckets up: each holds its own values only, Prometheus wants those of all smaller ones as well."""
    counted = {parse_labels(labels)["le"]: value for labels, value in totals.get(f"{name}_bucket", {}).items()}
    cumulative, running = [], 0.0
    for bound in [*map(metrics.bound_text, buckets), metrics.INFINITY]:
        running += counted.get(bound, 0.0)
        cumulative.append((bound, running))
    return HistogramMetricFamily(name, help_text, buckets=cumulative, sum_value=sum(totals.get(f"{name}_sum", {}).values()))


def _waiting() -> Iterator[Metric]:
    waiting, now = backlog(), timezone.now()
    yield _number("repoguard_deliveries_pending", "Deliveries not finished and not parked.", waiting.pending)
    yield _number("repoguard_deliveries_parked", "Deliveries of webhooks that are switched off or held.", waiting.parked)
    yield _number("repoguard_deliveries_in_flight", "Deliveries whose request is under way.", waiting.in_flight)
    oldest = _age(waiting.oldest_due_at, now)
    yield _number("repoguard_oldest_pending_seconds", "How long the oldest due delivery has waited, parked ones left out.", oldest)


def _age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _live_workers() -> dict[str, int]:
    known = [DRAIN_KIND, WORKER_KIND, *map(canary.kind, queue.CLUSTERS)]
    rows = Worker.objects.filter(~leases.lapsed()).values_list("kind").annotate(Count("id")).order_by()
    return dict.fromkeys(known, 0) | dict(rows)


def _work_rows() -> Metric:
    family = GaugeMetricFamily("repoguard_work_rows", "Claimable work that is not finished, by kind and state.", labels=["kind", "state"])
    for kind in work_registry.kinds():
        unfinished = kind.model._default_manager.filter(state__in=[WorkState.QUEUED, WorkState.RUNNING])
        counts = dict(unfinished.values_list("state").annotate(Count("pk")).order_by())
        for state in (WorkState.QUEUED, WorkState.RUNNING):
            family.add_metric([kind.name, state.value], counts.get(state.value, 0))
    return family


def _build_info() -> Metric:
    family = GaugeMetricFamily("repoguard_build_info", "The running release; always 1.", labels=["version", "python", "database"])
    family.add_metric([__version__, platform.python_version(), connection.vendor], 1)
    return family


def _gauge(name: str, help_text: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _number(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def parse_labels(text: str) -> dict[str, str]:
    """Return the labels that core.metrics.labels() wrote."""
    return {name: _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], value) for name, value in _LABEL.findall(text)}


def metrics_view(request: HttpRequest) -> HttpResponse:
    """Answer a scrape; refuses strangers, and says 503 while the database is away."""
    if problem := _refusal(request):
        return problem.as_response()
    registry = CollectorRegistry(auto_describe=False)
    try:
        registry.register(DatabaseCollector())
        text = generate_latest(registry)
    except Error:
        return Problem(503, "unavailable", "The database can't be reached or does not answer.").as_response()
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


def _refusal(request: HttpRequest) -> Problem | None:
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN):
            return None
        return Problem(401, "not_authenticated", "Send METRICS_TOKEN as a bearer token.", headers={"WWW-Authenticate": "Bearer"})
    return None if _is_this_machine(request) else Problem(403, "not_allowed", "Set METRICS_TOKEN to read the metrics from another machine.")


def _is_this_machine(request: HttpRequest) -> bool:
    address = parse_address(client_address(request) or "")
    if address is None or not address.is_loopback:
        return False
    # behind a proxy of this machine that TRUSTED_PROXIES does not name, every caller looks local
    return not any(header in request.headers for header in _FORWARDING_HEADERS)
