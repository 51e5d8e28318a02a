"""What stands in for a platform: it signs as the tests' own senders do, its samples are taken, and what is done to them is noticed."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core import signing
from core.errors import InvalidInput
from core.event_types import catalogue, check_data
from integrations import registry
from integrations.connectors.github.connector import GitHub
from integrations.connectors.slack.connector import Slack
from integrations.connectors.snyk.connector import Snyk
from integrations.connectors.standard_webhooks.connector import StandardWebhooks
from integrations.contract.inbound import Receiver
from integrations.contract.simulated import STALE, Message, SampleRequest, Simulated, tampered
from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, SENDERS, Sender

pytestmark = pytest.mark.once
RECEIVERS: list[type[Simulated]] = [one for one in registry.with_capability(Receiver) if issubclass(one, Simulated)]
# the other ways to prove a request, which a receiver takes and its platform does not choose
OTHERS = {"alertmanager_basic", "svix", "ed25519"}
OURS = [sender for sender in SENDERS if sender.name not in OTHERS]


def simulated(receiver: type[Receiver]) -> type[Simulated]:
    assert issubclass(receiver, Simulated)
    return receiver


def request(sender: Sender, *, moment: datetime = NOW, event: str = "") -> SampleRequest:
    receiver = simulated(sender.receiver)
    return receiver.request(event or receiver.samples[0].event, sender.secrets[0], sender.config, id=uuid.uuid4(), now=moment)


def test_every_receiver_can_stand_in_for_its_platform() -> None:
    assert registry.with_capability(Receiver) == RECEIVERS
    assert all(receiver.samples for receiver in RECEIVERS)


@pytest.mark.parametrize("sender", OURS, ids=lambda one: one.name)
def test_it_proves_itself_as_the_independent_sender_does(sender: Sender) -> None:
    expected = dict(sender.sign(sender.secrets[0], sender.body, int(NOW.timestamp())))
    made = "d-1" if sender.name.startswith("generic") else "msg_1"
    signed = simulated(sender.receiver).sign(Message("push", sender.body, made, NOW), sender.secrets[0], sender.config)
    ours = {name.lower(): value for name, value in {**signed.headers, **signed.query}.items()}
    if sender.name == "stripe":  # the test's sender adds an old version, which is looked past
        expected = {name: value.rpartition(",")[0] for name, value in expected.items()}
    assert {name: ours.get(name) for name in expected} == expected


def test_it_signs_the_vectors_that_platforms_publish() -> None:
    ping = Message("ping", b"Hello, World!", "1", NOW)
    digest = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert GitHub.sign(ping, "It's a Secret to Everybody", {}).headers["X-Hub-Signature-256"] == digest
    then = datetime.fromtimestamp(1614265330, UTC)
    standard = Message("x", b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", then)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signature = StandardWebhooks.sign(standard, secret, {}).headers["webhook-signature"]
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    slack = Slack.sign(Message("command", body, "1", datetime.fromtimestamp(1531420618, UTC)), "8f742231b10e8888abcd99yyyzzz85a5", {})
    assert slack.headers["X-Slack-Signature"] == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


SAMPLES = [(receiver, sample.event) for receiver in RECEIVERS for sample in receiver.samples]


@pytest.mark.parametrize(("receiver", "event"), SAMPLES, ids=[f"{receiver.key}-{event}" for receiver, event in SAMPLES])
def test_a_sample_is_taken_and_becomes_events_of_the_catalogue(receiver: type[Simulated], event: str) -> None:
    secret, config = signing.new_secret(), {"id_header": "X-Id"} if receiver.key == "generic" else {}
    made = [receiver.request(event, secret, config, id=uuid.uuid4(), now=NOW) for _ in range(2)]
    arrived = [one.arrived(NOW) for one in made]
    assert b"{{" not in made[0].body
    verified = [receiver.verify(one, [secret], config, NOW) for one in arrived]
    assert verified[0].event in {event, ""} or receiver.key in {"generic", "slack"}
    # each is a new delivery; Slack gives commands, clicks and its challenge no id
    assert verified[0].dedupe_id != verified[1].dedupe_id or event in {"command", "block_actions", "url_verification"}
    events = receiver.parse(arrived[0], verified[0])
    assert events or event in {"ping", "url_verification"}
    for found in events:
        assert catalogue.find(found.type) is not None, found.type
        check_data(found.type, dict(found.data))
    assert secret not in repr(made)


@pytest.mark.parametrize("sender", OURS, ids=lambda one: one.name)
def test_what_is_done_to_a_sample_is_noticed_where_the_platform_signs_it(sender: Sender) -> None:
    receiver, made = simulated(sender.receiver), request(sender)
    secret, config = sender.secrets[0], sender.config
    assert receiver.takes(made, secret, config, NOW)
    assert not receiver.takes(made, sender.secrets[1], config, NOW)
    assert receiver.takes(replace(made, body=tampered(made.body)), secret, config, NOW) is not sender.signs_body
    assert receiver.takes(request(sender, moment=NOW - STALE), secret, config, NOW) is not bool(sender.timed)


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        (b"{}", b'{"tampered":true}'),
        (b'{"a":1}', b'{"tampered":true,"a":1}'),
        (b"a=1", b"a=1&tampered=true"),
        (b"[1]", b"[1] "),
        (b"", b" "),
    ],
)
def test_a_tampered_body_stays_one_of_its_kind(body: bytes, changed: bytes) -> None:
    assert tampered(body) == changed


def test_a_body_of_ones_own_is_signed_to_the_byte_under_any_event() -> None:
    body = '{ "action" : "opened", "ü": 1 }'.encode()
    made = GitHub.request("issues", "secret", {}, id=uuid.uuid4(), now=NOW, body=body)
    assert (made.body, made.headers["X-GitHub-Event"], made.headers["Content-Type"]) == (body, "issues", "application/json")
    assert GitHub.takes(made, "secret", {}, NOW)
    assert Snyk.request("ping", "secret", {}, id=uuid.uuid4(), now=NOW, body=b"{}").headers["X-Snyk-Event"] == "ping/v0"


@pytest.mark.parametrize(
    ("receiver", "event", "secret", "config", "field"),
    [
        ("github", "nosuch", "secret", {}, "event"),
        ("github", "a b", "secret", {}, "event"),
        ("standard_webhooks", "contact.created", "whpk_AAAA", {}, "secret"),
        ("standard_webhooks", "contact.created", "whsec_%%%", {}, "secret"),
        ("gitlab", "push", "ü", {"mode": "signing"}, "secret"),
        ("generic", "deploy.done", "secret", {"template": "{id}.{body}"}, "config.id_header"),
    ],
)
def test_what_can_not_be_signed_is_said(receiver: str, event: str, secret: str, config: dict[str, Any], field: str) -> None:
    body = b"{}" if event == "a b" else None
    with pytest.raises(InvalidInput) as caught:
        simulated(registry.find(receiver)).request(event, secret, config, id=uuid.uuid4(), now=NOW, body=body)  # type: ignore[arg-type]
    assert list(caught.value.fields) == [field]
    assert len(secret) < 5 or secret not in caught.value.message


def test_a_click_is_a_form_that_holds_json() -> None:
    made = request(BY_NAME["slack"], event="block_actions").arrived(NOW)
    (event,) = Slack.parse(made, Slack.verify(made, [BY_NAME["slack"].secrets[0]], {}, NOW))
    assert (event.type, event.data["payload"]["actions"][0]["value"]) == ("inbound.slack.block_actions", "finding-12")
    assert "response_url" not in json.dumps(event.data)
