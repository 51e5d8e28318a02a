"""Slack as a destination: what is posted keeps its limits and escapes, and each of its answers is understood."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from slack_sdk.models.blocks import Block

from core.errors import OutboundError
from integrations.connectors.slack.connector import Slack
from integrations.connectors.slack.layout import payload
from integrations.contract.outbound import DestinationAnswer, OutgoingEvent
from integrations.contract.schema import validate_values
from integrations.messages.cutting import units
from tests.connectors.chats import bursting, crowd, shown, texts
from tests.connectors.contract import fuzz, tried
from tests.connectors.door import Answer
from tests.connectors.slack.test_contract import TestSlack as Kit
from tests.connectors.told import HOSTILE, gate, golden, hostile_events

pytestmark = pytest.mark.once
URL = "https://hooks.slack.com/services/T00000000/B00000000/k3yK3yk3yK3yk3yK3y"
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "x"}}
_ALLOWED = re.compile(r"<https?://[^<>|\s]+\|[^<>]*>")


def posted(event: OutgoingEvent) -> dict[str, Any]:
    """Return what Slack would get."""
    request = Kit().made().build(event, {})
    message: dict[str, Any] = json.loads(request.body)
    return message


def assert_taken(message: dict[str, Any]) -> None:
    """Hold a message against Slack's SDK, which checks blocks one by one, and count what it does not."""
    blocks = Block.parse_all(message["blocks"])
    assert len(blocks) == len(message["blocks"]) <= 50
    for block in blocks:
        assert block is not None, "a type that Slack does not know"
        block.validate_json()
    assert 0 < units(message["text"]) <= 4000
    for block in message["blocks"]:
        if block["type"] == "header":
            assert 0 < units(block["text"]["text"]) <= 150
        if "fields" in block:
            assert 1 <= len(block["fields"]) <= 10
            assert all(0 < units(field["text"]) <= 2000 for field in block["fields"])
        if block["type"] == "section" and "text" in block:
            assert 0 < units(block["text"]["text"]) <= 3000
    for button in (element for block in message["blocks"] if block["type"] == "actions" for element in block["elements"]):
        assert units(button["text"]["text"]) <= 75
        assert len(button["url"]) <= 3000
    assert Slack.body_problems(json.dumps(message).encode()) == []
    for text in texts(message):  # nothing in brackets but links that the layout made, and no bare ampersand in markup
        assert "<" not in _ALLOWED.sub("", text)
    assert all(text["verbatim"] for block in message["blocks"] for text in _mrkdwn(block))
    assert all(not re.search(r"&(?!amp;|lt;|gt;)", text["text"]) for block in message["blocks"] for text in _mrkdwn(block))


def _mrkdwn(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        inner = [found for part in value.values() for found in _mrkdwn(part)]
        return [value, *inner] if value.get("type") == "mrkdwn" else inner
    return [found for part in value for found in _mrkdwn(part)] if isinstance(value, list) else []


@pytest.mark.parametrize("name", shown())
def test_what_is_posted_is_as_it_was_looked_at(name: str) -> None:
    golden(Path(__file__).parent, f"{name}.json", posted(shown()[name]))


def test_slack_takes_every_message(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for event in crowd():
            assert_taken(posted(event))
    assert not caplog.records


@fuzz
@given(event=hostile_events())
def test_slack_takes_whatever_a_sender_made_up(event: OutgoingEvent) -> None:
    assert_taken(posted(event))


@pytest.mark.parametrize("text", ["x", "🙈", "<&>", "[_]\\\\"])
def test_a_message_that_is_full_in_every_part_still_fits(text: str) -> None:
    assert_taken(payload(bursting(text)))


def test_a_gate_is_told_with_everything_that_a_reader_needs() -> None:
    message = json.dumps(posted(gate(12)), ensure_ascii=False)
    for part in ("Gate failed: acme/", "*Branch*", "*Commit*", "12 critical", "condition 1", "and 7 more", "Open details"):
        assert part in message
    assert message.count("• *critical*") + message.count("• *high*") == 5
    assert "<https://repoguard.example.com/admin/scans/finding/" in message


def test_nobody_is_called_and_no_link_is_smuggled_in() -> None:
    message = json.dumps(posted(gate(3, HOSTILE, repository=HOSTILE)), ensure_ascii=False)
    assert "&lt;!channel&gt;" in message
    assert not re.search(r"<[!@#]|<javascript|<https://evil", message)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        ({"blocks": []}, "text is missing"),
        ({"text": "x", "blocks": "[]"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [{"type": "divider"}] * 51}, "51 blocks; Slack takes 50"),
        ({"text": "x", "blocks": [{"type": "text"}]}, "no block of Slack's"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "Slack takes 150"),
        ({"text": "x", "blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "plain_text"),
        ({"text": "x", "blocks": [{"type": "section"}]}, "needs text or fields"),
        ({"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]}, "Slack takes 3,000"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]}, "list of 1 to 10; it has 11"),
        ({"text": "x", "blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}]}, "Slack takes 2,000"),
        ({"text": "x", "blocks": [{"type": "actions", "elements": [BUTTON | {"url": ""}]}]}, "leave it out"),
        ({"text": "x", "blocks": [{"type": "context", "elements": []}]}, "list of 1 to 10; it has 0"),
    ],
)  # fmt: skip
def test_a_template_that_slack_would_refuse_is_refused_before(body: Any, sentence: str) -> None:
    found = Slack.body_problems(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert any(sentence in one for one in found), found


@pytest.mark.parametrize(
    ("status", "body", "ok", "permanent", "gone", "part"),
    [
        (200, b"ok", True, False, False, ""),
        (200, b"<html>hello", False, False, False, "not with Slack's ok"),
        (200, b"", False, False, False, "not with Slack's ok"),
        (400, b"invalid_blocks", False, True, False, "400 invalid_blocks: a block breaks one of its limits."),
        (400, b"something_new", False, True, False, "400 something_new: it refused the message."),
        (403, b"action_prohibited", False, True, False, "an admin of the workspace"),
        (404, b"no_service", False, True, False, "removed or disabled"),
        (404, b"<html>K3yk3yK3y", False, True, False, "Slack answered 404: it does not know this webhook"),
        (404, b"channel_not_found", False, True, False, "make a new webhook"),
        (410, b"channel_is_archived", False, True, True, "is archived"),
    ],
)
def test_each_answer_is_understood(status: int, body: bytes, ok: bool, permanent: bool, gone: bool, part: str) -> None:
    outcome = Kit().made().judge(DestinationAnswer(status, {}, body))
    assert (outcome.ok, outcome.permanent, outcome.gone) == (ok, permanent, gone)
    assert part in outcome.error
    assert "k3y" not in outcome.error.lower()


@pytest.mark.parametrize("status", [301, 408, 425, 429, 500, 503])
def test_limits_and_failures_of_slack_itself_are_left_to_the_status_rules(status: int) -> None:
    assert Kit().made().judge(DestinationAnswer(status, {"Retry-After": "7"}, b"rollup_error")) is None


@pytest.mark.parametrize(
    ("url", "config", "sentence"),
    [
        (URL, {}, ""),
        (URL.replace("slack.com", "slack-gov.com"), {}, ""),
        ("http://127.0.0.1:9000/services/T/B/x", {}, ""),
        ("https://127.0.0.1/hook", {}, ""),
        ("https://chat.example.com/s/1", {"other_host": "chat.example.com"}, ""),
        ("https://chat.example.com/s/1", {}, "leads to chat.example.com, which is not Slack's"),
        ("https://hooks.slack.com.evil.example/services/T/B/x", {}, "which is not Slack's"),
        ("http://hooks.slack.com/services/T/B/x", {}, "must start with https://"),
        ("https://hooks.slack.com/triggers/T/1/x", {}, "belongs to a workflow"),
        ("https://hooks.slack.com/services/T/B", {}, "is not whole"),
    ],
)
def test_the_address_has_to_be_slacks_or_one_that_is_named(settings: Any, url: str, config: dict[str, Any], sentence: str) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    _, refused = tried(lambda: validate_values(Slack, config, {"webhook_url": url}))
    assert refused == (["credentials.webhook_url"] if sentence else [])
    assert not sentence or sentence in Slack.validate(config, {"webhook_url": url})["webhook_url"][0]


def test_the_check_posts_nothing_that_anybody_sees() -> None:
    made = Kit().made(Answer(400, b"no_text"))
    assert "Nothing was posted" in made.check().message
    assert [call.body for call in made.door.calls] == [b"{}"]
    assert "a stand-in for Slack" in Kit().made(Answer(200, b"ok")).check().message
    with pytest.raises(OutboundError, match="404 no_service: the webhook was removed"):
        Kit().made(Answer(404, b"no_service")).check()
