"""Secrets are planted wherever the portal takes or meets one; then everything it shows or stores is searched for them."""

from __future__ import annotations

import base64
import json
import re
import secrets
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from access import services as access_services
from core import runtime, work
from core.bus import publish
from core.encrypted_columns import columns
from core.errors import RepoGuardError
from core.models import CachedAnswer, RequestLog
from core.models.outbound import CallPurpose
from core.signing import hub_signature_256
from integrations.calls import door_for
from integrations.models import Integration, OAuthGrant, OAuthRequest
from scans.models import Finding, Scan, ScanPart
from scans.work import work_off
from tests.core.door_stub import Service, http, serving
from tests.repoguard import surfaces
from tests.webhooks.inbound_kit import sender as sender
from tests.webhooks.receivers import Received, Reply, receiving, wait_for
from webhooks.api.webhooks import WebhookViewSet
from webhooks.engine.pump import Engine
from webhooks.inbound.keeping import INLINE
from webhooks.models import Receipt, ReceiptPart, WebhookDelivery

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes, pytest.mark.once]
API = "/api/v1/"


class Planted:
    """The secrets by where they were planted. They have no telling shape: only the place says that they are secret."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        return self.texts.setdefault(place, f"q{secrets.token_hex(14)}z")

    def found_in(self, text: str) -> list[str]:
        return [place for place, secret in self.texts.items() if secret in text]


# Where each encrypted field's secret comes from. A new encrypted field fails the test until it is planted too.
FIELDS = {
    "webhooks.Webhook.secrets": "webhook secret",
    "webhooks.Webhook.headers": "webhook header",
    "integrations.Integration.credentials": "credentials",
    "integrations.Integration.previous_credentials": "old credentials",
    "integrations.OAuthGrant.access_token": "access token",
    "integrations.OAuthGrant.refresh_token": "refresh token",
    "integrations.OAuthRequest.code_verifier": "code verifier",
    "core.IdempotencyKey.answer": "webhook secret",
    "core.CachedAnswer.body": "cached answer",
    "webhooks.InboundSource.secrets": "inbound secret",
    "webhooks.Receipt.sealed": "inbound header",
    "webhooks.ReceiptPart.data": "inbound body",
    "scans.ScanPart.data": "secret in a report",
}


@pytest.fixture
def plant() -> Planted:
    return Planted()


@pytest.fixture
def root(plant: Planted, settings: Any) -> Iterator[Client]:
    """Log an administrator in whose password is planted; the calls of this test may reach this machine."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    access_services.ensure_roles()
    User.objects.create_superuser("root", password=plant("password"))
    client = Client(raise_request_exception=False)
    client.post("/admin/login/", {"username": "root", "password": plant("mistyped password")})
    assert client.post("/admin/login/", {"username": "root", "password": plant("password")}).status_code == 302
    yield client
    runtime.forget()


def send(client: Client, method: str, path: str, body: Any, **headers: str) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.generic(method, API + path, text, content_type="application/json", headers=headers)


def plant_webhook(client: Client, plant: Planted, url: str) -> None:
    body = {"name": "hook", "url": url, "events": ["custom.*"], "headers": {"X-Partner": plant("webhook header")}}
    made = send(client, "POST", "webhooks", body | {"retry_config": {"schedule": []}}, **{"Idempotency-Key": "once"})
    assert made.status_code == 201, made.content
    plant.texts["webhook secret"] = made.json()["secret"].removeprefix("whsec_")


def plant_integration(client: Client, plant: Planted, url: str) -> Integration:
    config = {"base_url": url, "auth": "bearer"}
    body = {
        "name": "partner",
        "type": "http",
        "category": "monitoring",
        "config": config,
        "credentials": {"token": plant("old credentials")},
    }
    made = send(client, "POST", "integrations", body)
    assert made.status_code == 201, made.content
    new = {"credentials": {"token": plant("credentials"), "secret_headers": {"X-Second": plant("secret header")}}}
    assert send(client, "PATCH", f"integrations/{made.json()['id']}", new).status_code == 200
    row = Integration.objects.get(pk=made.json()["id"])
    OAuthGrant.objects.create(integration=row, access_token=plant("access token"), refresh_token=plant("refresh token"))
    OAuthRequest.objects.create(
        integration=row, user=User.objects.get(), code_verifier=plant("code verifier"), state_hash="h", expires_at=timezone.now()
    )
    return row


def plant_basic(client: Client, plant: Planted, url: str) -> Integration:
    config = {"base_url": url, "auth": "basic", "username": "portal"}
    credentials = {"password": plant("basic password")}
    plant.texts["basic header"] = base64.b64encode(f"portal:{plant('basic password')}".encode()).decode()
    body = {"name": "basic", "type": "http", "category": "monitoring", "config": config, "credentials": credentials}
    made = send(client, "POST", "integrations", body)
    assert made.status_code == 201, made.content
    return Integration.objects.get(pk=made.json()["id"])


def plant_inbound(client: Client, plant: Planted) -> None:
    """Make a source, and send it requests that prove themselves and do not; the second is large enough to be kept in pieces."""
    made = send(client, "POST", "inbound-sources", {"name": "in", "provider": "sender", "secret": plant("inbound secret")})
    assert made.status_code == 201, made.content
    place = f"webhook/sender/{made.json()['id']}"
    for size in (0, INLINE):
        body = json.dumps({"password": plant("inbound body"), "text": "x" * size})
        signature = hub_signature_256(plant("inbound secret"), body.encode())
        headers = {"X-Sender-Signature": signature, "X-Other": plant("inbound header"), "X-Copy": plant("inbound secret")}
        assert send(Client(), "POST", place, body, **headers).status_code == 202
    refused = {"Authorization": f"Bearer {plant('inbound credentials')}", "X-Sender-Signature": plant("wrong inbound signature")}
    assert send(Client(), "POST", place, "{}", **refused).status_code == 403


def plant_report(client: Client, plant: Planted) -> None:
    """Upload two reports of a secret in the code: one is read, the other waits."""
    assert send(client, "POST", "repositories", {"provider": "github", "full_name": "acme/leaky"}).status_code == 201
    found = {"RuleID": "generic-api-key", "Description": "A key", "File": "app.py", "StartLine": 3}
    report = [{**found, "Secret": plant("secret in a report"), "Match": f"key = {plant('secret in a report')}"}]
    for _ in range(2):
        assert send(client, "POST", "scans/upload?repository=acme/leaky", report).status_code == 202
        if not Finding.objects.exists():
            assert work.run_due(Scan, work_off) == 1
    assert Finding.objects.count() == 1


def call(plant: Planted, service: Service, row: Integration) -> None:
    """Make calls whose requests and answers are full of secrets, and which end well and badly."""
    door = door_for(row, CallPurpose.GATEWAY)
    echo = f"you sent {plant('credentials')}, {plant('secret header')}"
    answer = {"access_token": plant("token in an answer"), "debug": echo}
    service.says(http(200, json.dumps({"value": plant("cached answer")}).encode(), ETag='"1"'))
    assert door.request("GET", service.url + "/cached", cache_seconds=60).status == 200
    said = http(
        500, json.dumps(answer).encode(), Set_Cookie=f"session={plant('cookie of an answer')}", X_Secret=plant("header of an answer")
    )
    service.answers, service.requests = [said], []
    sent = {"X-Extra": plant("header of a call")}
    with pytest.raises(RepoGuardError):
        door.request(
            "POST",
            service.url + "/broken",
            params={"api_key": plant("query of a call")},
            headers=sent,
            json={"password": plant("body of a call")},
        )
    assert plant("header of a call").encode() in service.requests[0]
    assert RequestLog.objects.filter(url__contains="/broken").exists()


def through_the_gateway(client: Client, plant: Planted, service: Service, row: Integration) -> Iterator[tuple[str, str]]:
    """Call a service that repeats the credentials, as JSON in disguise, text, bytes and headers, well and badly."""
    secret = plant("basic password")
    escaped = "".join(f"\\u{ord(character):04x}" for character in secret)
    echo = f"{secret} {plant('basic header')}".encode()
    endpoint = {"name": "echo", "method": "POST", "path": "/echo"}
    assert send(client, "POST", f"integrations/{row.pk}/endpoints", endpoint).status_code == 201
    for status, kind, body in (
        (200, "application/json", f'{{"{escaped}": "{escaped}"}}'.encode()),
        (200, "text/plain", echo),
        (200, "application/octet-stream", b"\x00\xff" + echo),
        (422, "application/json", f'{{"a": "{escaped}"}}'.encode()),
    ):
        service.says(http(status, body, content_type=kind, x_request_id=secret))
        for path, sent in (("call", {"method": "POST", "path": "/echo"}), ("endpoints/echo", {})):
            answer = send(client, "POST", f"integrations/{row.pk}/{path}", sent)
            assert answer.status_code == (200 if status == 200 else 502), answer.content
            said = answer.json()
            yield f"POST integrations/{{id}}/{path}", surfaces.said(answer)
            content = base64.b64decode(said["body"]).decode("latin-1") if said.get("body_kind") == "base64" else repr(said)
            yield f"POST integrations/{{id}}/{path}", re.sub(r"\\+u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), content)


def echoing(plant: Planted) -> Any:
    def rule(request: Received) -> Reply:
        body = {"client_secret": plant("body of a receiver"), "debug": f"you sent {request.headers.get('x-partner')}"}
        return Reply(
            400, {"Set-Cookie": f"a={plant('cookie of a receiver')}", "X-Token": plant("header of a receiver")}, json.dumps(body).encode()
        )

    return rule


def deliver(client: Client) -> None:
    publish("custom.thing", {"n": 1})
    engine = Engine(5)
    engine.start()
    engine.claim_for(20)
    try:
        wait_for(lambda: WebhookDelivery.objects.exclude(status="pending").exists(), 20)
    finally:
        engine.stop(0)


def misuse(client: Client, plant: Planted) -> Iterator[tuple[str, str]]:
    """Send secrets where they are refused, and have the portal fail while it holds one."""
    secret = plant("refused secret")
    bodies: dict[str, Any] = {
        "webhooks": [
            {"name": "x", "url": "https://example.com", "events": ["custom.*"], "headers": {"X-A": secret + "\r\n"}},
            {"name": "x", "url": "https://example.com", "events": ["custom.*"], "secret": secret},
            {"name": "x", "url": "ftp://example.com", "headers": {"Host": secret}, "events": []},
            '{"secret": "' + secret,
        ],
        "integrations": [
            {"name": "x", "type": "http", "category": "monitoring", "config": {"base_url": "nowhere"}, "credentials": {"token": secret}},
            {"name": "x", "type": "http", "category": "monitoring", "config": {"auth": "bearer"}, "credentials": {"tokem": secret}},
            {"name": "x", "type": "http", "config": {"token": secret, "auth": "bearer"}, "credentials": {"token": [secret]}},
            {"name": "x", "type": "none", "credentials": secret},
        ],
    }
    for path, each in bodies.items():
        for body in each:
            answer = send(client, "POST", path, body)
            assert answer.status_code == 400, (path, answer.content)
            yield f"400 of {path}", surfaces.said(answer)
    key = plant("unknown API key")
    yield "401", surfaces.said(Client().get(API + "webhooks", headers={"Authorization": f"Bearer rg_live_{key}"}))
    yield "404 of the API", surfaces.said(client.get(API + "nothing", headers={"X-Secret": secret}))
    yield "404", surfaces.said(client.get("/admin/nothing/", headers={"Cookie": f"a={secret}"}))
    yield "400", surfaces.said(Client(headers={"host": "evil.example", "Authorization": secret}).get("/"))


def failing(client: Client, plant: Planted, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    def fails(*args: Any, **named: Any) -> Any:
        token = plant("local variable")
        raise RuntimeError(f"something broke after {len(token)} characters; password={token}")

    with monkeypatch.context() as patch:
        patch.setattr(WebhookViewSet, "list", fails)
        patch.setattr("webhooks.admin.webhooks.WebhookAdmin.get_queryset", fails)
        for path in (API + "webhooks", "/admin/webhooks/webhook/"):
            answer = client.get(path, headers={"X-Secret": plant("header of a failing request")})
            assert answer.status_code == 500
            yield f"500 of {path}", surfaces.said(answer)


def decrypted() -> dict[str, str]:
    """Return everything that is stored encrypted, in clear, by field."""
    bodies = [base64.b64decode(body) for body in CachedAnswer.objects.values_list("body", flat=True)]
    sealed = [zlib.decompress(value) for value in Receipt.objects.values_list("sealed", flat=True)]
    parts = [zlib.decompress(value) for value in ReceiptPart.objects.values_list("data", flat=True)]
    reports = [zlib.decompress(value) for value in ScanPart.objects.values_list("data", flat=True)]
    inbound = {"webhooks.Receipt.sealed": repr(sealed), "webhooks.ReceiptPart.data": repr(parts), "scans.ScanPart.data": repr(reports)}
    return (
        inbound
        | {"core.CachedAnswer.body": repr(bodies)}
        | {
            column.label: repr(
                [value for value in column.model._default_manager.values_list(column.field.name, flat=True) if value is not None]
            )
            for column in columns()
            if column.model not in (CachedAnswer, Receipt, ReceiptPart, ScanPart)
        }
    )


def test_every_encrypted_field_is_planted() -> None:
    assert set(FIELDS) == {column.label for column in columns()}


@pytest.mark.no_cover  # it goes everywhere, as other tests do
def test_no_secret_is_shown_or_stored_in_clear(plant: Planted, root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, errors = surfaces.watch_dataclasses(monkeypatch), surfaces.watch_errors(monkeypatch)
    leaks: list[str] = []
    visited: list[str] = []

    def search(place: str, text: str) -> None:
        visited.append(place)
        leaks.extend(f"{place} shows the {name}" for name in plant.found_in(text))

    with surfaces.logged() as log, serving() as service, receiving(echoing(plant)) as receiver:
        plant_webhook(root, plant, receiver.url())
        plant_inbound(root, plant)
        plant_report(root, plant)
        row = plant_integration(root, plant, service.url)
        call(plant, service, row)
        basic = plant_basic(root, plant, service.url)
        search("test of an integration", surfaces.said(send(root, "POST", f"integrations/{row.pk}/test", {})))
        for place, text in through_the_gateway(root, plant, service, basic):
            search(place, text)
        service.says(http(401, f"wrong: {plant('basic header')} {plant('basic password')}".encode()))
        search("test of an integration", surfaces.said(send(root, "POST", f"integrations/{basic.pk}/test", {})))
        deliver(root)
        stored = decrypted()
        assert {label for label, name in FIELDS.items() if plant(name) not in stored[label]} == set()
        for place, text in misuse(root, plant):
            search(place, text)
        for place, text in failing(root, plant, monkeypatch):
            search(place, text)
        for pages in (surfaces.api_routes(root), surfaces.admin_pages(root), surfaces.tables(), surfaces.dumps(), surfaces.instances()):
            for place, text in pages:
                search(place, text)
    for line in log.lines:
        search("log", line)
    for text in shown:
        search(f"repr of {text.partition(':')[0]}", text)
    for text in errors:
        search("error", text)

    assert not leaks, "\n".join(sorted(set(leaks)))
    _assert_it_looked(visited)


def _assert_it_looked(visited: list[str]) -> None:
    """Hold the search itself to something: pages that were not opened show nothing."""
    expected = {
        "log", "error", "repr of Reply", "repr of Target", "dumpdata", "GET webhooks/{id}", "GET deliveries/{id}", "GET integrations/{id}",
        "GET /metrics", "GET integrations/requests", "GET audit-log", "admin webhooks_webhook_change",
        "admin webhooks_webhookdelivery_change",
        "admin webhooks_webhook_history", "admin access_auditentry_changelist", "table core_requestlog", "table webhooks_deliveryattempt",
        "table django_q_ormq", "repr of webhooks.Webhook",
        "GET inbound-sources/{id}", "GET inbound-events/{id}", "500 of /api/v1/webhooks", "401", "400", "404",
        "POST integrations/{id}/call", "POST integrations/{id}/endpoints/echo",
    }  # fmt: skip
    assert expected - set(visited) == set()
