"""Webhooks with payload templates: what they may have, and what the engine sends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks import Webhook as Verifier

from core import runtime
from core.bus import publish
from core.errors import InvalidInput
from integrations.connectors.http.connector import HttpConnector
from integrations.models import Integration
from templates_app.payloads import services as templates
from templates_app.payloads.services import VersionValues
from tests.factories import owner_of
from tests.templates_app.payload_kit import payload_template
from tests.webhooks.engine_kit import hook
from tests.webhooks.receivers import receiving, wait_for
from webhooks import services
from webhooks.api.previews import as_json
from webhooks.engine import templating
from webhooks.engine.pump import Engine
from webhooks.engine.targets import TargetCache
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery
from webhooks.services import WebhookValues
from webhooks.services.previews import preview_message

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[[], Engine]


@pytest.fixture(autouse=True)
def _ready(settings: Any) -> Iterator[None]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def start() -> Iterator[Start]:
    engines: list[Engine] = []

    def run() -> Engine:
        engines.append(Engine(50))
        engines[-1].start()
        engines[-1].claim_for(60)
        return engines[-1]

    yield run
    for engine in engines:
        engine.stop(0)


def through(base: str, **more: Any) -> Integration:
    config = {"base_url": base, "kind": "rest", "auth": "bearer", "health_method": "GET", "expected_status": ["200-299"]}
    values = {"name": "Tickets", "type": "http", "category": "development", "config": config, "credentials": {"token": "t0ken-of-tests"}}
    return Integration.objects.create(**(values | more))


def ended() -> bool:
    return not WebhookDelivery.objects.filter(status="pending").exists()


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_the_template_is_sent_signed_and_its_version_is_noted(start: Start) -> None:
    template = payload_template(
        '{"said": "{{ data.title }}", "kind": {{ event.type }}}', events=["custom.*"], url_path="/of/{{ data.title }}",
        url_query={"t": "{{ data.title }}"}, headers={"X-Title": "{{ data.title }}", "X-Own": "the template's"},
    )  # fmt: skip
    with receiving() as receiver:
        made = hook(url=receiver.url("/in?a=1"), payload_template=template, headers={"X-Own": "mine"})
        publish("custom.a", {"title": 'a "b"/c\n'})
        start()
        wait_for(ended)
        (request,) = receiver.received
    assert request.path == "/in/of/a%20%22b%22%2Fc%0A?a=1&t=a+%22b%22%2Fc%0A"
    assert json.loads(request.body) == {"said": 'a "b"/c\n', "kind": "custom.a"}
    assert (request.headers["x-title"], request.headers["x-own"], request.headers["content-type"]) == (
        'a "b"/c',
        "mine",
        "application/json",
    )
    Verifier(made.secrets[0]["secret"]).verify(request.body, request.headers)
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.template_version) == ("success", template.active_id)
    assert attempt.url == receiver.url(request.path)


def test_the_version_that_is_active_when_it_is_sent_counts(start: Start) -> None:
    template = payload_template('{"v": 1}', events=["custom.*"])
    with receiving() as receiver:
        hook(url=receiver.url("/"), payload_template=template)
        start()
        publish("custom.a", {})
        wait_for(ended)
        second = templates.add_version(template, VersionValues('{"v": 2}'))[0]
        publish("custom.a", {})
        wait_for(lambda: len(receiver.received) == 2 and ended())
        templates.roll_back(template, 1)
        publish("custom.a", {})
        wait_for(lambda: len(receiver.received) == 3 and ended())
    assert [json.loads(request.body)["v"] for request in receiver.received] == [1, 2, 1]
    noted = list(DeliveryAttempt.objects.order_by("id").values_list("template_version", flat=True))
    assert noted == [template.active_id, second.id, template.active_id]


def test_what_would_be_no_json_is_never_sent_nor_tried_again(start: Start) -> None:
    template = payload_template('{"a": 1{% if data.more %}{{ data.more }} oops{% endif %}}', events=["custom.*"])
    with receiving() as receiver:
        hook(url=receiver.url("/"), payload_template=template)
        publish("custom.a", {"more": "\x00'x"})
        publish("custom.a", {})
        start()
        wait_for(ended)
        assert len(receiver.received) == 1
    failed = DeliveryAttempt.objects.get(outcome="failed")
    assert (failed.error_class, failed.template_version, failed.number) == ("unsuitable", template.active_id, 1)
    assert failed.error.startswith("What the payload template Chat (version 1) makes of this event was not sent. body: What it makes is no")
    assert "line 1, column" in failed.error


def test_a_destination_gets_the_body_and_keeps_its_own_address_and_credentials(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    template = payload_template('{"n": {{ data.n }}}', platform="http", events=["custom.*"])
    problems: list[str] = []
    monkeypatch.setattr(HttpConnector, "body_problems", classmethod(lambda cls, body: problems))
    with receiving() as receiver:
        hook(url="", integration=through(receiver.url("")), destination={"path": "/events"}, payload_template=template)
        publish("custom.a", {"n": 5})
        start()
        wait_for(ended)
        (request,) = receiver.received
        assert (request.path, request.body, request.headers["authorization"]) == ("/events", b'{"n": 5}', "Bearer t0ken-of-tests")
        problems.append("At most one block.")
        publish("custom.a", {"n": 6})
        wait_for(lambda: WebhookDelivery.objects.filter(status="failed").exists())
        assert len(receiver.received) == 1
    failed = DeliveryAttempt.objects.get(outcome="failed")
    assert (failed.error_class, failed.template_version) == ("unsuitable", template.active_id)
    assert "would refuse it: At most one block." in failed.error


def test_webhooks_without_a_template_cost_nothing_more() -> None:
    plain = hook()
    with CaptureQueriesContext(
        connection,
    ) as without:
        target = TargetCache().load({plain.id: None})[plain.id]
    assert len(without) == 1
    assert (target.template_id, target.template, target.rendered) == (None, None, None)
    with_one = hook(payload_template=payload_template())
    cache = TargetCache()
    assert cache.load({with_one.id: None, plain.id: None})[with_one.id].template
    with CaptureQueriesContext(connection) as again:
        cache.load({with_one.id: None, plain.id: None})
    assert len(again) == 2


def test_the_preview_of_a_webhook_shows_what_its_template_makes() -> None:
    body = '{"t": {{ data.t }}{% if data.bad %}oops{% endif %}}'
    template = payload_template(body, events=["custom.*"], url_path="x", headers={"X-A": "{{ data.t }}"})
    to_url = hook(url="https://ci.example.com/in", payload_template=template)
    told = preview_message(to_url, publish("custom.a", {"t": "v"})).requests[0]
    assert (told.url, told.body, told.size, told.headers["X-A"]) == ("https://ci.example.com/in/x", '{"t": "v"}', 10, "v")
    none = preview_message(to_url, publish("custom.a", {"t": "v", "bad": True}))
    assert (none.requests, "no JSON" in none.note) == ((), True)
    around = {"of": "custom.a", "text": '{"t": "v"oops}', "first_line": 1, "first_column": 1, "line": 1, "column": 10, "size": 14}
    assert as_json(none)["refused_output"] == around
    for_http = payload_template('{"h": {{ data.t }}}', name="h", platform="http", events=["custom.*"])
    routed = hook(url="", integration=through("https://t.example.com"), destination={"path": "/e"}, payload_template=for_http)
    told = preview_message(routed, publish("custom.a", {"t": "v"})).requests[0]
    assert (told.url, told.body) == ("https://t.example.com/e", '{"h": "v"}')


# --- what may be had --------------------------------------------------------------------------------------------------


def test_a_webhook_may_have_a_template_of_its_kind_and_owner_only(alice: Any, bob: Any) -> None:
    mine, theirs = owner_of(alice).id, owner_of(bob).id
    plain, other = payload_template(owner_id=mine), payload_template(owner_id=theirs)
    for_http = payload_template(owner_id=mine, name="of http", platform="http")
    values = {"name": "w", "events": ["finding.*"], "owner_id": mine}

    def refused(**more: Any) -> str:
        with pytest.raises(InvalidInput) as error:
            services.create_webhook(WebhookValues(**(values | more)))  # type: ignore[typeddict-item]
        return error.value.fields["payload_template"][0]

    to_url = {"url": "https://ci.example.com/"}
    assert "belongs to another owner" in refused(**to_url, payload_template=other)
    assert "is for http" in refused(**to_url, payload_template=for_http)
    row = through("https://tickets.example.com", owner_id=mine)
    assert "is for webhooks to a URL" in refused(integration=row, payload_template=plain)
    assert Webhook.objects.count() == 0
    hook_made = services.create_webhook(WebhookValues(**values, integration=row, payload_template=for_http))[0]  # type: ignore[typeddict-item]
    with pytest.raises(InvalidInput, match="is for http"):  # the URL is its own from now on
        services.update_webhook(hook_made, WebhookValues(integration=None, url="https://ci.example.com/"))
    changed = services.update_webhook(hook_made, WebhookValues(integration=None, url="https://ci.example.com/", payload_template=plain))
    assert (changed.payload_template, changed.integration) == (plain, None)


def test_owners_take_turns_in_rendering(start: Start, monkeypatch: pytest.MonkeyPatch, alice: Any, bob: Any) -> None:
    rendered: list[str] = []
    free = threading.Event()

    def render(claimed: Any) -> Any:
        rendered.append(claimed.target.template.name[:5])
        free.wait(10)
        return _render(claimed)

    _render = templating._render
    monkeypatch.setattr(templating, "_render", render)
    with receiving() as receiver:
        for name, user, count in (("alice", alice, 12), ("bobby", bob, 1)):
            owner = owner_of(user).id
            hook(url=receiver.url("/in"), payload_template=payload_template(name=name, owner_id=owner), owner_id=owner)
            for _ in range(count):
                publish("custom.a", {"severity": "high"}, owner_id=owner)
        engine = start()
        wait_for(lambda: engine.in_flight == 13)
        free.set()
        wait_for(ended)
    assert rendered.index("bobby") <= 2, rendered
    assert len(rendered) == 13
