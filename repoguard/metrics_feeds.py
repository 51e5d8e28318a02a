"""What /metrics says of the lists about exploited vulnerabilities: how old they are."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from scans.models import FeedState


def feed_metrics() -> Iterator[Metric]:
    """Yield the gauges of lists that were ever read: one statement."""
    age = GaugeMetricFamily("repoguard_feed_age_seconds", "Since a list was read, or found unchanged, last.", labels=["feed"])
    rows = GaugeMetricFamily("repoguard_feed_rows", "Rows of a stored list.", labels=["feed"])
    now = timezone.now()
    for feed, read_at, count in FeedState.objects.filter(read_at__isnull=False).order_by("feed").values_list("feed", "read_at", "rows"):
        age.add_metric([feed], max(0.0, (now - read_at).total_seconds()) if read_at else 0.0)
        rows.add_metric([feed], count)
    yield age
    yield rows
