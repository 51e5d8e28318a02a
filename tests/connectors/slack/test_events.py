from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from core.errors import InvalidInput
from integrations.contract.inbound import InboundRequest
from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["slack"]
FORM = "application/x-www-form-urlencoded"
# the documented slash command, https://docs.slack.dev/authentication/verifying-requests-from-slack/
COMMAND = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


def test_the_published_vector() -> None:
    headers = {"x-slack-request-timestamp": "1531420618", "content-type": FORM,
               "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"}  # fmt: skip
    request, now = InboundRequest(headers, COMMAND), datetime.fromtimestamp(1531420618, UTC)
    verified = SENDER.receiver.verify(request, ["8f742231b10e8888abcd99yyyzzz85a5"], {}, now)
    (event,) = SENDER.receiver.parse(request, verified)
    assert event.type == "inbound.slack.command"
    assert event.data["payload"]["command"] == "/webhook-collect"
    assert not {"token", "response_url", "trigger_id"} & set(event.data["payload"])


def test_the_handshake_is_answered_and_no_event() -> None:
    request = SENDER.request(fixture("slack", "url_verification"))
    verified = SENDER.receiver.verify(request, [SENDER.secrets[0]], {}, NOW)
    assert SENDER.receiver.answer(request, verified) == {"challenge": json.loads(request.body)["challenge"]}
    assert SENDER.receiver.parse(request, verified) == []


def test_nothing_else_is_answered() -> None:
    request = SENDER.request(fixture("slack", "event_callback", challenge="x"))
    assert SENDER.receiver.answer(request, SENDER.receiver.verify(request, [SENDER.secrets[0]], {}, NOW)) is None


def test_an_event_keeps_slacks_name_and_loses_its_token() -> None:
    (event,) = SENDER.events(fixture("slack", "event_callback"))
    assert event.type == "inbound.slack.app_mention"
    assert event.occurred_at == datetime(2026, 5, 4, 11, tzinfo=UTC)
    assert "do-not-keep-me" not in repr(event)


def test_a_clicked_button_comes_as_json_in_a_form() -> None:
    body = urlencode({"payload": fixture("slack", "block_actions").decode()}).encode()
    (event,) = SENDER.events(body, content_type=FORM)
    assert event.type == "inbound.slack.block_actions"
    assert event.data["payload"]["actions"][0]["value"] == "finding-1"
    assert "do-not-keep-me" not in repr(event)


@pytest.mark.parametrize("body", [b"a=%ff", b"\xff=1", b"a&" * 200, b"", b"payload=x"])
def test_an_unreadable_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="body: is not JSON"):
        SENDER.events(body, content_type=FORM)


def test_the_events_id_names_the_delivery() -> None:
    first = SENDER.request(fixture("slack", "event_callback"))
    again = SENDER.request(fixture("slack", "event_callback"), stamp=int(NOW.timestamp()) + 60, x_slack_retry_num="1")
    ids = {SENDER.receiver.verify(request, [SENDER.secrets[0]], {}, NOW).dedupe_id for request in (first, again)}
    assert ids == {"Ev123"}
