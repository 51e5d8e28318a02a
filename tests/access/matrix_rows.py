"""One row of each resource for the matrix test. A new resource with rows needs a line in ROWS."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Model
from django.utils import timezone

from access import audit
from builds.analysis.compute import measures
from builds.analysis.scope import Scope
from builds.analysis.work import requester
from builds.models import Analysis, Build, BuildImport
from core import bus
from core.ids import uuid7
from core.models import Owner
from integrations.contract.scans import PackageUsed
from integrations.models import Endpoint, Integration, Repository
from scans.gates.conditions import Condition
from scans.inventories.packed import packed
from scans.models import Finding, GateResult, Inventory, Policy, Scan, Stream
from templates_app.models import IntegrationTemplate, PayloadTemplate
from templates_app.payloads.services import PayloadTemplateValues, VersionValues
from templates_app.payloads.services import create_template as create_payload_template
from tests.access.keys import make_key
from webhooks.choices import DeliveryStatus
from webhooks.inbound.keeping import seal
from webhooks.models import InboundBackfill, InboundSource, Receipt, Replay, Webhook, WebhookDelivery
from webhooks.services import create_webhook
from webhooks.services.values import WebhookValues


def api_key(owner: Owner) -> Model:
    return make_key(owner.user)[0]


def audit_entry(owner: Owner) -> Model:
    return audit.record("changed", repository(owner))


def repository(owner: Owner) -> Repository:
    return Repository.objects.create(provider="github", full_name=f"{owner}/n", owner=owner)


def build(owner: Owner) -> Model:
    return Build.objects.create(project="acme/shop", source="api", build_id=str(owner.id), status="success", owner=owner)


def build_import(owner: Owner) -> Model:
    return BuildImport.objects.create(kind="travistorrent", owner=owner)


def integration(owner: Owner) -> Integration:
    # a refused address: nothing is looked up
    config = {"base_url": "https://127.0.0.1/", "kind": "rest", "health_method": "GET", "expected_status": ["200-299"], "auth": "none"}
    row = Integration.objects.create(name="i", type="http", category="development", config=config, owner=owner)
    schema = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    Endpoint.objects.create(integration=row, name=NAME, path="/issues/{id}", parameters=schema)
    return row


def webhook(owner: Owner) -> Webhook:
    values = WebhookValues(name="w", url="https://receiver.example.com/", events=["custom.*"], owner_id=owner.id)  # type: ignore[typeddict-item]
    return create_webhook(values)[0]


def event(owner: Owner) -> Model:
    return bus.publish("custom.deployed", {"secret_plan": 1}, owner_id=owner.id)


def delivery(owner: Owner) -> Model:
    hook = webhook(owner)
    event(owner)
    row = WebhookDelivery.objects.get(webhook=hook)
    WebhookDelivery.objects.filter(id=row.id).update(status=DeliveryStatus.FAILED, next_attempt_at=None)
    return row


def replay(owner: Owner) -> Model:
    now = timezone.now()
    return Replay.objects.create(webhook=webhook(owner), owner_id=owner.id, since=now, until=now, rate_per_second=1)


def analysis(owner: Owner) -> Analysis:
    since, until = timezone.now() - timedelta(days=1), timezone.now()
    result = measures(Scope(requester(owner), since, until))
    return Analysis.objects.create(owner=owner, since=since, until=until, result=result, state="done")


def inbound_source(owner: Owner) -> InboundSource:
    return InboundSource.objects.create(
        name="s", provider="generic", secrets=[{"secret": "whsec_planted", "expires_at": None}], owner=owner
    )


def receipt(owner: Owner) -> Model:
    source = inbound_source(owner)
    done = {"state": "done", "result": "processed", "verdict": "accepted", "received_at": timezone.now()}
    return Receipt.objects.create(source=source, owner_id=owner.id, sealed=seal({}, {}, b"{}"), **done)


def scan(owner: Owner) -> Scan:
    return Scan.objects.create(repository=repository(owner), ref="main", outcome="completed", state="done")


def scanned_repository(owner: Owner) -> Repository:
    row = repository(owner)
    GateResult.objects.create(repository=row, scan_id=uuid7(), ref="main", decision="passed", policy_name="p")
    Stream.objects.create(repository=row, ref="main", tool="t", last_scan_id=uuid7(), last_at=timezone.now())
    return row


def finding(owner: Owner) -> Finding:
    return Finding.objects.create(repository=repository(owner), identity=uuid7(), kind="code", title="t", severity="high", state="open")


def policy(owner: Owner) -> Policy:
    return Policy.objects.create(name="p", repository=repository(owner), conditions=[Condition().stored()])


def inventory(owner: Owner) -> Inventory:
    packages = packed([PackageUsed("npm", "left", "1.0.0")])
    return Inventory.objects.create(repository=repository(owner), ref="main", manifest="package-lock.json", packages=packages)


# the name of what hangs on a row and is named in paths, such as an endpoint
NAME = "get-issue"


def template(owner: Owner) -> IntegrationTemplate:
    config = {"schema": {"properties": {}}, "integration": {"config": {"base_url": "https://api.example.com"}}}
    return IntegrationTemplate.objects.create(name="t", type="http", config=config, owner=owner)


def payload_template(owner: Owner) -> PayloadTemplate:
    values = PayloadTemplateValues(name="p", content_type="text/plain", events=["custom.*"], owner_id=owner.id)
    return create_payload_template(values, VersionValues("{{ event.id }}"))


def backfill(owner: Owner) -> Model:
    return InboundBackfill.objects.create(source=inbound_source(owner), owner_id=owner.id, since=timezone.now(), state="done")


ROWS: dict[str, Callable[[Owner], Any]] = {
    "analysis": analysis,
    "analyze": analysis,
    "api-keys": api_key,
    "audit-log": audit_entry,
    "builds": build,
    "builds/imports": build_import,
    "deliveries": delivery,
    "events": event,
    "findings": finding,
    "inbound-backfills": backfill,
    "inbound-events": receipt,
    "inbound-sources": inbound_source,
    "integration-templates": template,
    "integrations": integration,
    "payload-templates": payload_template,
    "inventories": inventory,
    "policies": policy,
    "replays": replay,
    "repositories": scanned_repository,
    "scans": scan,
    "webhooks": webhook,
}
# what a GET can't do without
QUERIES = {
    "repositories/<str:id>/diff": "head=main",
    "repositories/<str:id>/diff/findings": "head=main",
    "scans/<str:id>/diff": "base={id}",
    "scans/<str:id>/diff/findings": "base={id}",
}
# the same for everybody: no row belongs to anyone
SHARED = {"connectors": "http", "event-types": "custom.*"}
