"""Connectors of tests: one that sends a request, one that makes calls, both doing as a test tells them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from integrations import registry
from integrations.choices import Category
from integrations.contract.connector import Connector
from integrations.contract.fields import Field, FieldKind
from integrations.contract.outbound import (
    CallDestination,
    DestinationAnswer,
    DestinationRequest,
    Followed,
    HttpDestination,
    Memory,
    Outcome,
    OutgoingEvent,
    Progress,
)
from integrations.models import Integration
from tests.webhooks.engine_kit import hook
from webhooks.models import Webhook, WebhookState

TOKEN = "tok-planted-5b1f77c9d2"


class Told:
    """What the connectors below do; set by a test, reset after each."""

    build: Callable[[OutgoingEvent, Mapping[str, Any], Mapping[str, Any]], DestinationRequest] | None = None
    judge: Callable[[DestinationAnswer], Outcome | None] | None = None
    send: Callable[[OutgoingEvent, Mapping[str, Any], Memory, CallDestination], Outcome] | None = None
    poll: Callable[[str, Mapping[str, Any]], Progress] | None = None

    @classmethod
    def forget(cls) -> None:
        cls.build = cls.judge = cls.send = cls.poll = None


class Plain(Connector):
    """Takes no events."""

    key, title, description, categories = "plain", "Plain", "Takes no events.", (Category.DEVELOPMENT,)


class Poster(HttpDestination):
    """Sends the event's data to `<base>/<path>`."""

    key, title, description, categories = "poster", "Poster", "Posts.", (Category.COMMUNICATION,)
    signed = True
    fields = (Field("base", "Address", FieldKind.URL, required=True), Field("token", "Token", secret=True))
    destination_fields = (
        Field("path", "Path", required=True, max_length=50),
        Field("method", "Method", FieldKind.CHOICE, choices=(("POST", "POST"), ("PUT", "PUT")), default="POST"),
    )

    def build(self, event: OutgoingEvent, options: Mapping[str, Any]) -> DestinationRequest:
        if Told.build is not None:
            return Told.build(event, options, self.config)
        headers = {"Content-Type": "text/plain", "X-Correlation-Id": self.credentials.get("token", "")}
        url = f"{self.config['base']}/{options['path']}?n={event.data.get('n', '')}"
        return DestinationRequest(url, headers, event.body, options.get("method", "POST"))

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        return Told.judge(answer) if Told.judge is not None else None


class Caller(CallDestination, Followed):
    """Does whatever Told.send says."""

    key, title, description, categories = "caller", "Caller", "Calls.", (Category.DEVELOPMENT,)
    fields = (Field("base", "Address", FieldKind.URL, required=True), Field("token", "Token", secret=True))
    destination_fields = (Field("job", "Job", max_length=50),)

    def send(self, event: OutgoingEvent, options: Mapping[str, Any], memory: Memory) -> Outcome:
        assert Told.send is not None
        return Told.send(event, options, memory, self)

    def poll(self, url: str, memory: Mapping[str, Any]) -> Progress:
        assert Told.poll is not None
        return Told.poll(url, memory)


@pytest.fixture
def connectors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the connectors above for one test."""
    found = {connector.key: connector for connector in (Plain, Poster, Caller)}
    monkeypatch.setattr(registry, "CONNECTORS", (*registry.CONNECTORS, *found.values()))
    monkeypatch.setattr(registry, "_BY_KEY", registry._BY_KEY | found)
    Told.forget()
    yield
    Told.forget()


def integration(type: str = "poster", base: str = "https://example.com", **more: Any) -> Integration:
    """Return an active integration of one of them."""
    values = {"name": f"my {type}", "category": "development", "config": {"base": base}, "credentials": {"token": TOKEN}} | more
    return Integration.objects.create(type=type, **values)


def routed(to: Integration, options: dict[str, Any] | None = None, **more: Any) -> Webhook:
    """Return a webhook that sends through an integration, as the services leave it."""
    default = {"path": "hook"} if to.type == "poster" else {}
    made = hook(url="", integration=to, destination=default if options is None else options, **more)
    WebhookState.objects.filter(webhook=made).update(calls=to.type == "caller")
    return made


class Gate:
    """Holds calls until it is opened; counts those that came to it."""

    def __init__(self) -> None:
        self.came = 0
        self._open = threading.Event()
        self._lock = threading.Lock()

    def pass_through(self, seconds: float = 30.0) -> None:
        with self._lock:
            self.came += 1
        self._open.wait(seconds)

    def open(self) -> None:
        self._open.set()
