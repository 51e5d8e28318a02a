"""What /metrics says of integrations: by state, and for each of a bounded number whether it is up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Case, Count, Value, When
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from integrations.choices import Criticality, HealthState, Status
from integrations.health.days import availability
from integrations.health.report import with_circuit
from integrations.models import HealthDay, IntegrationHealth

MOST = 200
_LONGEST_NAME = 64


def integration_metrics() -> Iterator[Metric]:
    """Yield the gauges of integrations: three statements."""
    active = with_circuit(IntegrationHealth.objects.filter(integration__status=Status.ACTIVE))
    counts = dict.fromkeys(HealthState.values, 0) | dict(active.values_list("shown_state").annotate(Count("pk")).order_by())
    help_text = "Active integrations, by what their last checks say; unhealthy also while the breaker is not closed."
    states = GaugeMetricFamily("repoguard_integrations", help_text, labels=["state"])
    for state, count in sorted(counts.items()):
        states.add_metric([state], count)
    yield states
    labels = ["integration", "name", "type"]
    up = GaugeMetricFamily("repoguard_integration_up", "1 while an integration works, 0 while it is unhealthy.", labels=labels)
    rank = Case(*(When(integration__criticality=level, then=Value(place)) for place, level in enumerate(Criticality.values)))
    rows = active.exclude(shown_state=HealthState.UNKNOWN).annotate(rank=rank).order_by("rank", "pk")
    known: dict[object, list[str]] = {}
    for key, name, kind, state in rows.values_list("pk", "integration__name", "integration__type", "shown_state")[:MOST]:
        known[key] = [str(key), name[:_LONGEST_NAME], kind]
        up.add_metric(known[key], 0 if state == HealthState.UNHEALTHY else 1)
    yield up
    yield _yesterday(known, labels)


def _yesterday(known: dict[object, list[str]], labels: list[str]) -> Metric:
    family = GaugeMetricFamily("repoguard_integration_availability_percent", "Successful checks of the last full UTC day.", labels=labels)
    day = timezone.now().date() - timedelta(days=1)
    rows = HealthDay.objects.filter(day=day, integration_id__in=list(known)).order_by("integration_id")
    for integration_id, checks, failures in rows.values_list("integration_id", "checks", "failures"):
        share = availability(checks, failures)
        if share is not None:
            family.add_metric(known[integration_id], share)
    return family
