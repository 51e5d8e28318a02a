from __future__ import annotations

import re
import tomllib
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from core import housekeeping, leases, metrics, work_registry
from core.models import Housekeeping, Worker
from core.models.work import WorkState
from integrations.models import HealthDay, Integration, IntegrationHealth
from repoguard import __version__
from repoguard import metrics as view
from scans.models import FeedState
from tests.factories import EventFactory, WebhookFactory
from webhooks import selectors
from webhooks.choices import HoldReason
from webhooks.models import DueHint, Lease, Webhook, WebhookDelivery, WebhookState

pytestmark = pytest.mark.django_db
SAMPLES = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def scrape(client):
    """Return a function that reads /metrics as Prometheus would: {(name, labels): value}."""

    def read() -> SAMPLES:
        answer = client.get("/metrics")
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
        families = text_string_to_metric_families(answer.content.decode())
        return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}

    return read


def _of(samples: SAMPLES, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_counts_of_all_processes_are_summed(scrape):
    for shard in (1, 2):
        metrics.add({("repoguard_deliveries_total", metrics.labels(outcome="success")): 3}, shard=shard)
        attempts = metrics.labels(outcome="retry", error_class="timeout")
        metrics.add({("repoguard_delivery_attempts_total", attempts): 2}, shard=shard)
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_total", outcome="success") == 6
    assert _of(samples, "repoguard_delivery_attempts_total", outcome="retry", error_class="timeout") == 4


def test_outcomes_start_at_zero_so_that_rates_can_be_taken(scrape):
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_total", outcome="success") == 0
    assert _of(samples, "repoguard_deliveries_total", outcome="failed") == 0
    assert _of(samples, "repoguard_deliveries_total", outcome="cancelled") == 0


@pytest.mark.parametrize("name", ["repoguard_delivery_latency_seconds", "repoguard_attempt_duration_seconds"])
def test_a_histogram_is_cumulative(scrape, name):
    buckets = {histogram: bounds for histogram, _, bounds in view.HISTOGRAMS}[name]
    for shard in (1, 2):
        metrics.add(metrics.histogram(name, {}, [0.02, 0.3, 1e9], buckets), shard=shard)
    samples = scrape()
    assert _of(samples, f"{name}_bucket", le="0.01") == 0
    assert _of(samples, f"{name}_bucket", le="0.025") == 2
    assert _of(samples, f"{name}_bucket", le="0.5") == 4
    assert _of(samples, f"{name}_bucket", le="30.0") == 4
    assert _of(samples, f"{name}_bucket", le="+Inf") == _of(samples, f"{name}_count") == 6
    assert _of(samples, f"{name}_sum") == pytest.approx(2 * (1e9 + 0.32))
    assert len([key for key in samples if key[0] == f"{name}_bucket"]) == len(buckets) + 1


# --- what waits -------------------------------------------------------------------------------------------------------


def _hook(seconds_due: float | None = None, **state) -> Webhook:
    hook = WebhookFactory(status="active" if state.get("enabled", True) else "inactive")
    due = None if seconds_due is None else timezone.now() - timedelta(seconds=seconds_due)
    WebhookState.objects.filter(webhook=hook).update(oldest_due_at=due, next_due_at=due, **state)
    return hook


def test_pending_leaves_the_parked_out(scrape):
    _hook(10, pending_count=3)
    _hook(500, pending_count=5, enabled=False)
    _hook(600, pending_count=7, hold_until=timezone.now() + timedelta(minutes=1))
    _hook(20, pending_count=11, hold_until=timezone.now() - timedelta(seconds=1))
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_pending") == 14
    assert _of(samples, "repoguard_deliveries_parked") == 12
    assert 20 <= _of(samples, "repoguard_oldest_pending_seconds") < 30
    assert _of(samples, "repoguard_webhooks", status="active") == 3
    assert _of(samples, "repoguard_webhooks", status="inactive") == 1


def test_what_no_drain_has_counted_yet_is_pending_or_parked_too(scrape):
    moving, parked = _hook(), _hook(enabled=False)
    for hook, count in ((moving, 2), (parked, 4)):
        DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now() - timedelta(seconds=50 * count), count=count)
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_pending") == 2
    assert _of(samples, "repoguard_deliveries_parked") == 4
    assert 100 <= _of(samples, "repoguard_oldest_pending_seconds") < 110


def test_a_request_under_way_is_not_parked(scrape):
    for hook in (_hook(pending_count=3), _hook(pending_count=5, enabled=False)):
        Lease.objects.create(delivery_id=uuid.uuid4(), webhook_id=hook.id, owner=uuid.uuid4(), token=uuid.uuid4())
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_in_flight") == 2
    assert _of(samples, "repoguard_deliveries_pending") == 4
    assert _of(samples, "repoguard_deliveries_parked") == 4


def test_a_rate_limit_parks_nothing(scrape):
    _hook(10, pending_count=3, hold_until=timezone.now() + timedelta(minutes=1), hold_reason=HoldReason.RATE_LIMIT)
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_pending") == 3
    assert _of(samples, "repoguard_deliveries_parked") == 0
    assert _of(samples, "repoguard_oldest_pending_seconds") >= 10


def test_it_is_the_sum_of_what_every_webhook_says_of_itself(scrape):
    now = timezone.now()
    holds = [
        {},
        {"enabled": False},
        {"hold_until": now + timedelta(minutes=1), "hold_reason": HoldReason.BREAKER},
        {"hold_until": now + timedelta(minutes=1), "hold_reason": HoldReason.RATE_LIMIT},
        {"hold_until": now - timedelta(minutes=1), "hold_reason": HoldReason.RETRY_AFTER},
    ]
    hooks = [_hook(10, pending_count=10, **hold) for hold in holds]
    for hook in hooks:
        DueHint.objects.create(webhook_id=hook.id, due_at=now, count=2)
        Lease.objects.create(delivery_id=uuid.uuid4(), webhook_id=hook.id, owner=uuid.uuid4(), token=uuid.uuid4())
        for minutes in (-1, 5, 6):
            event = EventFactory()
            WebhookDelivery.objects.create(
                webhook=hook, event=event, event_type=event.type, next_attempt_at=now + timedelta(minutes=minutes)
            )
    samples, stats = scrape(), [selectors.stats(hook.id) for hook in hooks]
    assert _of(samples, "repoguard_deliveries_pending") == sum(stat.pending for stat in stats)
    assert _of(samples, "repoguard_deliveries_parked") == sum(stat.parked for stat in stats) == 18
    assert _of(samples, "repoguard_deliveries_in_flight") == sum(stat.in_flight for stat in stats) == 5


def test_deleted_webhooks_do_not_count(scrape):
    hook = _hook(10, pending_count=3)
    DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now())
    Webhook.objects.update(deleted_at=timezone.now())
    samples = scrape()
    assert _of(samples, "repoguard_deliveries_pending") == 0
    assert _of(samples, "repoguard_deliveries_parked") == 0
    assert _of(samples, "repoguard_webhooks", status="active") == 0


def test_nothing_overdue_is_zero_seconds(scrape):
    _hook(-60, pending_count=1)
    assert _of(scrape(), "repoguard_oldest_pending_seconds") == 0


# --- workers and queue ------------------------------------------------------------------------------------------------


def test_live_workers_are_counted_by_kind(scrape):
    for kind in ("deliveries", "deliveries", "cluster:default"):
        leases.register_worker(kind)
    Worker.objects.filter(kind="cluster:default").update(heartbeat_at=Now() - timedelta(minutes=1))
    samples = scrape()
    assert _of(samples, "repoguard_workers_live", kind="deliveries") == 2
    assert _of(samples, "repoguard_workers_live", kind="cluster:default") == 0
    assert _of(samples, "repoguard_workers_live", kind="work") == 0


def test_unfinished_work_and_messages_are_counted(scrape):
    for number, state in enumerate((WorkState.QUEUED, WorkState.QUEUED, WorkState.RUNNING, WorkState.DONE)):
        Housekeeping.objects.create(job="sample", slot=str(number), state=state)
    samples = scrape()
    assert _of(samples, "repoguard_work_rows", kind="housekeeping", state="queued") == 2
    assert _of(samples, "repoguard_work_rows", kind="housekeeping", state="running") == 1
    assert _of(samples, "repoguard_queue_messages", cluster="default") == 0
    assert _of(samples, "repoguard_queue_messages", cluster="deliveries") == 0


def test_the_running_release_is_named(scrape):
    (labels,) = [dict(labels) for name, labels in scrape() if name == "repoguard_build_info"]
    assert labels["version"] == __version__
    assert labels["database"] == connection.vendor
    project = tomllib.loads((Path(django_settings.BASE_DIR) / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == __version__


def _checked_integration() -> None:
    row = Integration.objects.create(name="api", type="http", category="monitoring")
    IntegrationHealth.objects.create(integration=row, state="healthy")
    HealthDay.objects.create(integration=row, day=timezone.now().date() - timedelta(days=1), checks=10)


def test_the_number_of_statements_is_constant(client):
    counts = []
    _hook(pending_count=1, enabled=False)
    _checked_integration()
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            client.get("/metrics")
        counts.append(len(queries))
        for _hook_number in range(5):
            hook = _hook(10, pending_count=1)
            DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now())
            _checked_integration()
        metrics.add({("repoguard_deliveries_total", metrics.labels(outcome="success")): 1})
    assert counts[0] == counts[1] <= 14 + len(work_registry.kinds())
    for query in queries.captured_queries:
        assert "webhooks_webhookdelivery" not in query["sql"] or "LIMIT" in query["sql"], "a log was counted"


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["plain", 'say "hi"', "back\\slash", "two\nlines", 'a="b",c', ""])
def test_labels_come_back_as_they_were_stored(value):
    assert view.parse_labels(metrics.labels(a=value, b="x")) == {"a": value, "b": "x"}


def test_odd_label_values_reach_prometheus(scrape):
    name = "repoguard_delivery_attempts_total"
    metrics.add({(name, metrics.labels(outcome='o"\\\n', error_class="")): 1})
    assert _of(scrape(), name, outcome='o"\\\n', error_class="") == 1


# --- who may read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meta",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"REMOTE_ADDR": ""},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "192.0.2.7"},
        {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_REAL_IP": "127.0.0.1"},
    ],
)
def test_without_a_token_another_machine_is_refused(client, meta):
    answer = client.get("/metrics", **meta)
    assert answer.status_code == 403
    assert answer.json()["code"] == "not_allowed"
    assert "METRICS_TOKEN" in answer.json()["message"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_without_a_token_this_machine_may_read(client, address):
    assert client.get("/metrics", REMOTE_ADDR=address).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic the-token", "the-token", "Bearer", "Bearer the-tokén"])
def test_with_a_token_a_wrong_one_is_refused_also_on_this_machine(client, settings, header):
    settings.METRICS_TOKEN = "the-token"
    answer = client.get("/metrics", headers={"Authorization": header} if header else {})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert "the-token" not in answer.content.decode()


def test_with_a_token_any_machine_that_has_it_may_read(client, settings):
    settings.METRICS_TOKEN = "the-token"
    answer = client.get("/metrics", headers={"Authorization": "Bearer the-token"}, REMOTE_ADDR="192.0.2.7")
    assert answer.status_code == 200


def test_a_dead_database_is_a_503(client, monkeypatch):
    def dead() -> None:
        raise OperationalError("no route to 10.9.8.7")

    monkeypatch.setattr(metrics, "totals", dead)
    answer = client.get("/metrics")
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert "10.9.8.7" not in answer.content.decode()


# --- the handbook -----------------------------------------------------------------------------------------------------


def test_the_handbook_names_every_metric_and_job(scrape):
    text = (Path(django_settings.BASE_DIR) / "docs" / "monitoring.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(repoguard_\w+)` \|", text, re.MULTILINE))
    metrics.add({("repoguard_delivery_attempts_total", metrics.labels(outcome="retry", error_class="dns")): 1})
    _checked_integration()
    FeedState.objects.create(feed="kev", rows=2, read_at=timezone.now())
    served = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in scrape()}
    assert documented == served
    jobs = set(re.findall(r"^\| `((?:access|builds|core|integrations|scans|webhooks)\.\w+)` \|", text, re.MULTILINE))
    assert jobs == {job.name for job in housekeeping.jobs()}
