"""What a webhook would send, shown before it is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from core.ids import uuid7
from integrations.contract.outbound import DestinationRequest, Memory, NothingToTell, Outcome, OutgoingEvent, Reserved
from integrations.models import Integration
from integrations.rehearsal import MAX_SHOWN, MOST_CALLS, rehearse
from tests.connectors.told import example
from tests.factories import EventFactory, WebhookFactory
from tests.webhooks.destination_kit import TOKEN, Caller, Told, connectors, integration, routed
from webhooks.models import DestinationMemory, WebhookDelivery
from webhooks.services.previews import example_type

pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.usefixtures("connectors")]
__all__ = ["connectors"]


def shown(admin_client: Client, webhook: Any, **asked: Any) -> dict[str, Any]:
    answer = admin_client.post(f"/api/v1/webhooks/{webhook.id}/preview", asked, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert TOKEN not in answer.content.decode()
    found: dict[str, Any] = answer.json()
    return found


def test_a_plain_webhook_shows_the_signed_envelope_without_its_signature(admin_client: Client) -> None:
    webhook = WebhookFactory.create(events=["gate.*"], headers={"X-Team": "planted-value"})
    found = shown(admin_client, webhook)
    (request,) = found["requests"]
    assert request["headers"]["X-Team"] == "********"
    assert request["headers"]["webhook-signature"].startswith("v1,(")
    assert json.loads(request["body"])["type"] == "gate.failed"
    assert request["size"] == len(request["body"])
    collecting = WebhookFactory.create(events=["gate.*"], routing={"digest": {"window_seconds": 60}})
    assert json.loads(shown(admin_client, collecting)["requests"][0]["body"])["type"] == "notification.digest"
    event = EventFactory.create()
    assert json.loads(shown(admin_client, webhook, event_id=str(event.id))["requests"][0]["body"])["id"] == str(event.id)
    assert WebhookDelivery.objects.count() == 0


def test_a_request_is_shown_without_credentials(admin_client: Client) -> None:
    (request,) = shown(admin_client, routed(integration()), event_type="build.failed")["requests"]
    assert request["url"] == "https://example.com/hook?n="
    assert request["headers"]["X-Correlation-Id"] == "***"


def _ticket(event: OutgoingEvent, options: Any, memory: Memory, connector: Caller) -> Outcome:
    assert memory.reserve("k", event.holder) is Reserved.FIRST
    base = connector.config["base"]
    connector.door.request("GET", f"{base}/search", expected={200, 404})
    made = connector.door.request("POST", f"{base}/tickets", json={"title": event.type, "by": TOKEN}).json()
    connector.door.request("POST", f"{base}/tickets/{made['id']}/comments", json={})  # needs what nobody answered
    return Outcome(ok=True)


def test_of_calls_those_are_shown_that_need_no_answer_of_the_other_system(admin_client: Client) -> None:
    Told.send = _ticket
    webhook = routed(integration("caller"))
    (request,) = shown(admin_client, webhook, event_type="gate.failed")["requests"]
    assert (request["method"], request["url"]) == ("POST", "https://example.com/tickets")
    assert json.loads(request["body"]) == {"title": "gate.failed", "by": "***"}
    assert DestinationMemory.objects.count() == 0


def test_what_is_not_sent_says_why_and_what_never_ends_is_ended(admin_client: Client) -> None:
    webhook = routed(integration("caller"))

    def quiet(event: OutgoingEvent, options: Any, memory: Memory, connector: Caller) -> Outcome:
        raise NothingToTell("below its floor.")

    Told.send = quiet
    nothing = {"requests": [], "note": "Nothing would be sent: below its floor.", "refused_output": None}
    assert shown(admin_client, webhook) == nothing

    def forever(event: OutgoingEvent, options: Any, memory: Memory, connector: Caller) -> Outcome:
        while True:
            connector.door.request("POST", "https://example.com/again")

    Told.send = forever
    found = shown(admin_client, webhook)
    assert (len(found["requests"]), found["note"]) == (MOST_CALLS, "Further requests follow.")


def test_a_transport_of_its_own_says_itself_what_it_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = DestinationRequest("smtp://mail.example.com", {"Subject": "x"}, b"text", "MAIL")
    monkeypatch.setattr(Caller, "rehearse", lambda self, event, options: [mail])
    row = Integration(id=uuid7(), name="mail", type="caller", config={"base": "https://example.com"}, credentials={"token": TOKEN})
    (request,) = rehearse(row, {}, example("gate.failed")).requests
    assert (request.method, request.body, request.readable) == ("MAIL", "text", "text")


def test_a_secret_that_the_end_of_what_is_shown_falls_into_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    long = DestinationRequest("https://example.com", {}, b"x" * (MAX_SHOWN - 10) + TOKEN.encode(), "POST")
    monkeypatch.setattr(Caller, "rehearse", lambda self, event, options: [long])
    row = Integration(id=uuid7(), name="mail", type="caller", config={"base": "https://example.com"}, credentials={"token": TOKEN})
    (request,) = rehearse(row, {}, example("gate.failed")).requests
    assert request.body.strip("x") == "***"


@pytest.mark.parametrize(
    ("asked", "field"), [({"event_type": "no.such"}, "event_type"), ({"event_id": str(uuid7())}, "event_id"), ({"x": 1}, "x")]
)
def test_wrong_wishes_name_the_field(admin_client: Client, asked: dict[str, Any], field: str) -> None:
    webhook = WebhookFactory.create()
    answer = admin_client.post(f"/api/v1/webhooks/{webhook.id}/preview", asked, content_type="application/json")
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_the_page_shows_it_too(admin_client: Client) -> None:
    webhook = routed(integration())
    page = admin_client.get(f"/admin/webhooks/webhook/{webhook.id}/message/?event_type=gate.failed").content.decode()
    assert "https://example.com/hook?n=" in page
    assert "Prototype pollution in lodash" in page
    assert TOKEN not in page
    assert "not the id of an event" in admin_client.get(f"/admin/webhooks/webhook/{webhook.id}/message/?event=x").content.decode()


def test_the_example_is_one_that_the_webhook_takes() -> None:
    assert [example_type(one) for one in (["*"], ["build.*"], ["webhook.failing"], ["custom.*"], [])] == [
        "gate.failed", "build.failed", "webhook.failing", "custom.example", "webhook.test",
    ]  # fmt: skip
