"""A provider of tests that signs by HMAC over the raw body, its sources, and requests to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from core import leases, signing, work
from core.errors import InvalidInput, NotAllowed
from core.work import Run
from integrations import registry
from integrations.choices import Category
from integrations.contract.connector import Connector
from integrations.contract.fields import Field
from integrations.contract.inbound import InboundEvent, InboundRequest, Receiver, Verified
from integrations.contract.reports import ReportedRun
from webhooks import secrets
from webhooks.inbound import interpret, receive, storing
from webhooks.models import InboundSource, Receipt

SECRET = "planted-inbound-7c1d22"


class Told:
    """What the receiver below does otherwise; set by a test, reset after each."""

    parse: Callable[[InboundRequest, Verified], list[InboundEvent]] | None = None
    answer: Mapping[str, Any] | None = None
    fault: Exception | None = None


class Sender(Receiver):
    """Signs with X-Sender-Signature; the body is JSON (or a form with it) with `id`, `event` and whatever else."""

    key, title, description, categories = "sender", "Sender", "Sends.", (Category.DEVELOPMENT,)
    source_fields = (Field("header", "Header", default="x-sender-signature", max_length=40),)
    overload_status = 503

    @classmethod
    def verify(cls, request: InboundRequest, secrets: Sequence[str], config: Mapping[str, Any], now: datetime) -> Verified:
        if Told.fault is not None:
            raise Told.fault
        given = request.headers.get(config.get("header", "x-sender-signature"), "")
        if not any(given == signing.hub_signature_256(secret, request.body) for secret in secrets):
            raise NotAllowed("The signature does not fit: another secret, or the body was changed on the way.")
        return Verified(request.headers.get("x-sender-id", ""), request.headers.get("x-sender-event", ""))

    @classmethod
    def answer(cls, request: InboundRequest, verified: Verified) -> Mapping[str, Any] | None:
        return Told.answer

    @classmethod
    def body_is_unique(cls, request: InboundRequest, verified: Verified) -> bool:
        return b'"at"' in request.body

    @classmethod
    def parse(cls, request: InboundRequest, verified: Verified) -> list[InboundEvent]:
        if Told.parse is not None:
            return Told.parse(request, verified)
        try:
            data = json.loads(request.body)
        except ValueError:
            raise InvalidInput("The body is not JSON.") from None
        if verified.event == "ping":
            return []
        runs = tuple(ReportedRun(str(run), 1, "passed") for run in data.get("runs", ()))
        kind = data.get("type") or f"inbound.sender.{verified.event or 'thing'}"
        return [InboundEvent(kind, data, repository=data.get("repository", ""), runs=runs)]


class Deaf(Connector):
    """Receives nothing."""

    key, title, description, categories = "deaf", "Deaf", "Receives nothing.", (Category.DEVELOPMENT,)


@pytest.fixture(autouse=True)
def sender(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Register the connectors for one test; yields how often a worker was asked for, which no test does by itself."""
    found: dict[str, type[Connector]] = {connector.key: connector for connector in (Sender, Deaf)}
    monkeypatch.setattr(registry, "CONNECTORS", (*registry.CONNECTORS, *found.values()))
    monkeypatch.setattr(registry, "_BY_KEY", registry._BY_KEY | found)
    wakes: list[int] = []
    monkeypatch.setattr(receive.waker, "notify", lambda: wakes.append(1))
    storing.forget_targets()
    Told.parse, Told.answer, Told.fault = None, None, None
    yield wakes
    Told.parse, Told.answer, Told.fault = None, None, None


def source(**more: Any) -> InboundSource:
    values: dict[str, Any] = {"name": "main", "provider": "sender", "secrets": secrets.initial(SECRET)} | more
    return InboundSource.objects.create(**values)


def url(to: InboundSource) -> str:
    return f"/api/v1/webhook/{to.provider}/{to.pk}"


def send(to: InboundSource | str, data: Any = None, *, secret: str = SECRET, id: str = "", event: str = "", **headers: str) -> Any:
    """Send a signed request and return the answer; `data` that is bytes is the body as it is."""
    body = data if isinstance(data, bytes) else json.dumps({} if data is None else data).encode()
    signed = {"X-Sender-Signature": signing.hub_signature_256(secret, body)}
    if id:
        signed["X-Sender-Id"] = id
    if event:
        signed["X-Sender-Event"] = event
    path = to if isinstance(to, str) else url(to)
    content_type = headers.pop("content_type", "application/json")
    return Client(raise_request_exception=False).post(path, body, content_type=content_type, headers=signed | headers)


def claimed(receipt: Receipt) -> Run:
    """Return the run of a receipt as a worker that claimed everything would have it."""
    rows = work.claim(Receipt, leases.register_worker("work"), limit=1000)
    row = next(row for row in rows if row.pk == receipt.pk)
    assert row.lease_token is not None
    return Run(row, row.lease_token)


def work_off() -> int:
    """Interpret everything that is due, one after the other."""
    worker, count = leases.register_worker("work"), 0
    while rows := work.claim(Receipt, worker):
        row = rows[0]
        assert row.lease_token is not None
        work.perform(Run(row, row.lease_token), interpret.interpret)
        count += 1
    return count


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
