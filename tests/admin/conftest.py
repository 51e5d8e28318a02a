"""Browsers for each role, and one of everything to look at."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from access import services as access_services
from access.models import ApiKey, ApiUsage
from access.owners import owner_for_user
from access.principals import of_user
from builds.analysis import work as analyses
from builds.analysis.start import AnalyzeValues, start_analysis
from builds.models import Analysis, Build, BuildImport
from core import work
from core.http import limits
from core.models import Circuit, Housekeeping, QuotaUsage, RequestLog, Worker
from integrations.contract.scans import PackageUsed
from integrations.models import Endpoint, HealthDay, HealthSample, Integration, IntegrationHealth, Repository, RepositorySource
from integrations.services.integrations import IntegrationValues, create_integration
from scans.gates.conditions import Condition
from scans.inventories.packed import packed
from scans.models import Finding, GateResult, Inventory, Policy, Presence, RiskAcceptance, Scan, Stream
from templates_app.models import IntegrationTemplate, PayloadTemplate
from tests.builds.build_kit import MONDAY, WEEK, build, store
from tests.factories import EventFactory, RepositoryFactory
from tests.templates_app.payload_kit import payload_template
from webhooks import services
from webhooks.inbound.keeping import seal
from webhooks.models import DeliveryAttempt, InboundBackfill, InboundSource, Receipt, Replay, Webhook, WebhookDelivery
from webhooks.secrets import initial

EVIL = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _roles(db: None) -> None:
    access_services.ensure_roles()


@pytest.fixture
def log_in() -> Callable[[User], Client]:
    def _log_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return _log_in


def make_webhook(owner: User | None = None, name: str = "hook", **values: Any) -> Webhook:
    owner_id = owner_for_user(owner).id if owner else None
    given = {"name": name, "url": "https://example.com/hook", "events": ["custom.*"], "owner_id": owner_id} | values
    return services.create_webhook(services.WebhookValues(**given))[0]


def make_delivery(webhook: Webhook, **values: Any) -> WebhookDelivery:
    event = EventFactory(owner_id=webhook.owner_id, payload={"title": EVIL})
    given = {
        "status": "failed",
        "attempts": 1,
        "last_error": EVIL,
        "last_error_class": "client_error",
        "finished_at": timezone.now(),
    } | values
    delivery = WebhookDelivery.objects.create(
        webhook=webhook, event=event, event_type=event.type, owner_id=webhook.owner_id, next_attempt_at=None, **given
    )
    DeliveryAttempt.objects.create(
        delivery=delivery,
        webhook_id=webhook.id,
        number=1,
        outcome="failed",
        started_at=timezone.now(),
        url=webhook.url,
        status_code=404,
        request_headers={"webhook-id": str(event.id), "x-evil": EVIL},
        response_headers={"x-evil": EVIL},
        response_body=EVIL,
        error_class="client_error",
        error=EVIL,
        dns_ms=1.0,
        connect_ms=2.0,
        first_byte_ms=3.0,
        total_ms=10.0,
    )
    return delivery


def make_replay(webhook: Webhook) -> Replay:
    now = timezone.now()
    return Replay.objects.create(
        webhook=webhook, owner_id=webhook.owner_id, since=now, until=now, rate_per_second=1, started_by=EVIL, error=EVIL
    )


def make_receipt(owner: User, name: str = "source") -> Receipt:
    whose = owner_for_user(owner)
    source = InboundSource.objects.create(name=name, provider="nosuch", secrets=initial("very-secret"), owner=whose)
    said = {"verdict": "accepted", "state": "failed", "error": EVIL, "event": EVIL, "dedupe_id": EVIL, "received_at": timezone.now()}
    return Receipt.objects.create(source=source, owner_id=whose.id, sealed=seal({"x-evil": EVIL}, {}, EVIL.encode()), **said)


def make_backfill(source: InboundSource) -> InboundBackfill:
    said = {"state": "failed", "error": EVIL, "started_by": EVIL, "finished_at": timezone.now()}
    return InboundBackfill.objects.create(source=source, owner_id=source.owner_id, since=timezone.now(), **said)


def make_key(owner: User, name: str = "key") -> ApiKey:
    key = access_services.create_key(access_services.KeyValues(name=name, owner_id=owner_for_user(owner).id))[0]
    ApiUsage.objects.create(key=key, day=timezone.now().date(), route="GET /api/v1/webhooks", requests=3)
    return key


def make_template(owner: User, name: str = "template") -> IntegrationTemplate:
    config = {
        "schema": {"properties": {"base_url": {"type": "string", "title": EVIL}}},
        "integration": {"config": {"base_url": "{{ base_url }}"}},
    }
    return IntegrationTemplate.objects.create(name=name, type="http", description=EVIL, config=config, owner=owner_for_user(owner))


def make_payload_template(owner: User, name: str = "payload template") -> PayloadTemplate:
    owner_id = owner_for_user(owner).id
    return payload_template(
        EVIL, name=name, description=EVIL, content_type="text/plain", owner_id=owner_id, note=EVIL, url_query={EVIL: EVIL}
    )


def make_build(owner: User, name: str = "test") -> Build:
    mine = owner_for_user(owner)
    BuildImport.objects.create(
        kind="travistorrent", owner=mine, error=EVIL, started_by=EVIL, problems=[{"line": 1, "field": EVIL, "reason": EVIL}]
    )
    text = dict.fromkeys(("project", "workflow", "branch", "commit", "event", "conclusion", "actor", "language"), EVIL[:40])
    extra, repository = {EVIL: EVIL}, Repository.objects.filter(owner=mine).first()
    return Build.objects.create(
        **text, source="api", build_id=name[:90], status="failure", url=f"https://x/{EVIL}", extra=extra, owner=mine, repository=repository
    )


def make_finding(repository: Repository, scan: Scan | None = None, account_of: Finding | None = None) -> Finding:
    """Return a finding whose every text wants to run, with a scan whose gate it broke, an account and a decision that ended."""
    if scan is None:
        problems = [{"where": EVIL, "sentence": EVIL}]
        said = {"tools": [EVIL], "problems": problems, "problem_count": 1, "error": EVIL, "started_by": EVIL, "category": EVIL}
        counts = {"total": 1, "new": 1, "by_severity": {"high": 1}}
        scan = Scan.objects.create(repository=repository, ref=EVIL, commit=EVIL, outcome="partial", state="done", **said, **counts)
        condition = Condition().stored() | {"sentence": EVIL, "found": 1, "passed": False}
        about = {"ref": EVIL, "commit": EVIL, "decision": "failed", "policy_name": EVIL, "conditions": [condition]}
        GateResult.objects.create(repository=repository, scan_id=scan.pk, **about)
    texts = dict.fromkeys(("title", "description", "rule", "package", "version", "fixed_version", "purl", "path", "url", "tool"), EVIL)
    finding = Finding.objects.create(
        repository=repository, identity=uuid.uuid4(), kind="dependency", severity="high", severity_rank=4, severity_origin=EVIL, **texts,
        identifiers=[["CVE", EVIL], [EVIL, EVIL]], sources=[EVIL], ecosystem=EVIL[:40], state="open", cvss_score=7.0, cvss_vector=EVIL,
    )  # fmt: skip
    for about in {finding, account_of or finding}:
        stream = Stream.objects.create(repository=repository, tool=EVIL, category=f"{EVIL}{uuid.uuid4()}", ref=EVIL)
        said = {"severity": EVIL}
        Presence.objects.create(finding=about, stream=stream, first_scan_id=scan.pk, content=uuid.uuid4(), reported=said, raw=said)
        RiskAcceptance.objects.create(finding=about, triage="accepted", reason=EVIL, decided_by=EVIL, ended_at=timezone.now())
    gate = GateResult.objects.get(scan_id=scan.pk)
    gate.broken_by, gate.broken_count = [*gate.broken_by, {"finding_id": str(finding.pk), "condition": 0}], gate.broken_count + 1
    gate.save(update_fields=["broken_by", "broken_count"])
    return finding


def make_health(owner: User, name: str = "api") -> IntegrationHealth:
    row = Integration.objects.create(
        name=name, type="http", category="monitoring", owner=owner_for_user(owner), sla_availability=99.5, sla_response_ms=200
    )
    now = timezone.now()
    for ok, ms in ((True, 90.0), (False, None)):
        HealthSample.objects.create(integration=row, checked_at=now, ok=ok, response_ms=ms, error="" if ok else EVIL)
    HealthDay.objects.create(integration=row, day=now.date() - timedelta(days=2), checks=10, failures=1, p50_ms=90, p95_ms=900, p99_ms=950)
    return IntegrationHealth.objects.create(
        integration=row, state="unhealthy", since=now, failing_since=now, consecutive_failures=3, last_error=EVIL
    )


def make_integration(owner: User, name: str = "tracker", **values: Any) -> Integration:
    given = {
        "name": name,
        "type": "http",
        "config": {"base_url": "https://api.example.com/v1", "auth": "bearer", "health_path": f"/{EVIL}"},
        "credentials": {"token": "very-secret-token"},
        "owner_id": owner_for_user(owner).id,
        "purpose": EVIL,
        "metadata": {"note": EVIL},
        "quota_limit": 10,
    } | values
    row = create_integration(IntegrationValues(**given))
    QuotaUsage.objects.create(
        integration_id=row.pk, window_start=limits.window_start(timezone.now(), 3600), window_seconds=3600, used=9, limit=10
    )
    Circuit.objects.create(integration_id=row.pk, state="open", failures=7, hold_until=timezone.now(), last_error=EVIL)
    make_call(row)
    return row


def make_call(integration: Integration, **values: Any) -> RequestLog:
    given: dict[str, Any] = {
        "method": "GET",
        "url": f"https://127.0.0.1/{EVIL}",
        "outcome": "unexpected",
        "purpose": "gateway",
        "endpoint": EVIL,
        "status_code": 401,
        "error": EVIL,
        "request_headers": {"X-Evil": EVIL},
        "response_headers": {"X-Evil": EVIL},
        "response_body": EVIL,
        "started_at": timezone.now(),
        "duration_ms": 12.0,
        "actor": EVIL,
    }
    return RequestLog.objects.create(integration_id=integration.pk, owner_id=integration.owner_id, **given | values)


def make_analysis(owner: User) -> Analysis:
    """Return a finished analysis of two builds that want to run."""
    names = {"project": EVIL, "workflow": EVIL, "branch": EVIL, "commit": EVIL[:64], "owner": owner_for_user(owner)}
    store(build(0, "failure", **names), build(9, **names))
    who = of_user(owner)
    start_analysis(AnalyzeValues(project=EVIL, workflow=EVIL, since=MONDAY, until=WEEK, compare={}), who)
    work.run_due(Analysis, analyses.analyse)
    return Analysis.objects.latest("id")


def make_inventory(repository: Repository) -> Inventory:
    """Return a lock file whose names want to run."""
    texts = dict.fromkeys(("ref", "manifest", "commit", "uploaded_by"), EVIL)
    data = {"packages": packed([PackageUsed(EVIL, EVIL, EVIL)]), "package_count": 1, "ecosystems": {EVIL: 1}}
    return Inventory.objects.create(repository=repository, format="package-lock", **texts, **data)


@pytest.fixture
def things(alice: User, team: Group) -> SimpleNamespace:
    """One of everything that alice owns, with names that want to run."""
    repository = RepositoryFactory(owner=owner_for_user(alice))
    integration = make_integration(alice, EVIL)
    finding = make_finding(repository)
    Scan.objects.update(integration=integration, trigger="event")
    webhook = make_webhook(alice, EVIL, headers={"X-Token": "very-secret"}, repositories=[repository], filter={"title": EVIL})
    delivery = make_delivery(webhook)
    receipt = make_receipt(alice, EVIL)
    return SimpleNamespace(
        analysis=make_analysis(alice),
        finding=finding,
        scan=Scan.objects.get(),
        inventory=make_inventory(repository),
        policy=Policy.objects.create(name=EVIL, repository=repository, conditions=[Condition().stored()]),
        webhook=webhook,
        delivery=delivery,
        replay=make_replay(webhook),
        receipt=receipt,
        backfill=make_backfill(receipt.source),
        event=delivery.event,
        repository=repository,
        source=RepositorySource.objects.create(repository=repository, integration=integration),
        health=make_health(alice, EVIL),
        template=make_template(alice, EVIL),
        payload_template=make_payload_template(alice, EVIL),
        integration=integration,
        endpoint=Endpoint.objects.create(
            integration=integration, name="get-issue", description=EVIL, path="/issues", fixed_query={"q": EVIL}
        ),
        call=make_call(integration),
        key=make_key(alice, EVIL),
        build=make_build(alice, EVIL),
        build_import=BuildImport.objects.get(),
        team=team,
        worker=Worker.objects.create(kind="deliveries", host=EVIL, pid=1),
        housekeeping=Housekeeping.objects.create(job="prune", slot="2026-01-01", state="failed", error=EVIL),
    )
